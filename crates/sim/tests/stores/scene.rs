//! A scene in which each hot step has something to do, and those steps.

use postrider_domain::Refusal;

use crate::step::{End, Step};

/// Lane 0 is open to everybody, lane 1 is led, lane 2 is held and led. Of worker 1 nothing was
/// heard lately.
pub(crate) fn scene() -> Vec<Step> {
    let commit =
        |webhooks: &[usize]| Step::Commit { webhooks: webhooks.to_vec(), key: None, claims: None };
    let record = |end| Step::Record { ends: vec![(0, end)] };
    let rejected = End::Rejected { refusal: Refusal::AtGithub, probe_now: true };
    vec![
        // What waits for its next try, what was lost, what is under way.
        commit(&[0]),
        Step::Fresh { worker: 0, last: 1, ends_now: false },
        record(End::Retry { now: true, uncertain: false }),
        commit(&[0]),
        Step::Fresh { worker: 0, last: 1, ends_now: true },
        commit(&[0]),
        Step::Fresh { worker: 1, last: 1, ends_now: true },
        // Its webhook moves, and another one is switched off.
        commit(&[3]),
        commit(&[1, 2]),
        commit(&[1, 2]),
        commit(&[1]),
        Step::Acquire { lane: 1, worker: 0, ends_now: false },
        Step::Acquire { lane: 2, worker: 0, ends_now: false },
        Step::Limited { lease: 0, count: 1, spaced: false, suspect: false, ends_now: false },
        record(rejected),
        Step::Probe { lane: 2, lease: Some(0) },
        Step::Limited { lease: 1, count: 1, spaced: true, suspect: false, ends_now: false },
        Step::Put { webhook: 3, lane: 1, enabled: true },
        commit(&[0]),
        commit(&[0]),
        Step::Fresh { worker: 0, last: 2, ends_now: false },
        commit(&[0]),
        commit(&[0]),
        Step::MakeDue { last: 1 },
        Step::Beat { worker: 1, lives: false },
    ]
}

/// The hot steps, each of them beside each other one.
pub(crate) fn hot_steps() -> Vec<Step> {
    let mut steps = of_deliveries();
    steps.extend(of_records());
    steps.extend(of_lanes());
    steps
}

/// Whether both may be under way. A claim comes to one end, so only a repeated record names the
/// claim of another one; and an UNCLAIM is alone in its worker.
pub(crate) fn may_meet(first: &Step, second: &Step) -> bool {
    match (first, second) {
        (Step::Record { ends }, Step::Record { ends: others }) => {
            let claims = |ends: &[(usize, End)]| ends.iter().map(|(claim, _)| *claim).collect();
            let (left, right): (Vec<usize>, Vec<usize>) = (claims(ends), claims(others));
            first == second || left.iter().all(|claim| !right.contains(claim))
        }
        (Step::Unclaim { by, .. }, Step::Unclaim { by: other, .. }) => by == other,
        _ => true,
    }
}

/// Worker 2 claims: no UNCLAIM is by the worker that claims, and one that is taken for dead while
/// it claims beats again anyway.
fn of_deliveries() -> Vec<Step> {
    let unclaim = |by| Step::Unclaim { worker: 0, lane: 0, last: 4, by, keeps: 0, is_late: false };
    vec![
        Step::Commit { webhooks: vec![0, 1, 2], key: Some(1), claims: None },
        Step::MakeDue { last: 2 },
        Step::Fresh { worker: 2, last: 2, ends_now: false },
        Step::Fresh { worker: 2, last: 9, ends_now: false },
        Step::Due { worker: 2, lanes: vec![0], count: 9, suspect: false, ends_now: false },
        Step::Due { worker: 2, lanes: vec![0, 1], count: 1, suspect: false, ends_now: false },
        Step::Limited { lease: 1, count: 9, spaced: true, suspect: false, ends_now: false },
        Step::Limited { lease: 0, count: 1, spaced: false, suspect: false, ends_now: false },
        Step::Canary { probe: 0, lease: Some(0), worker: 0 },
        unclaim(0),
        unclaim(1),
        unclaim(2),
        Step::Expire,
        Step::ReassignLanes,
        Step::Discard,
        Step::Beat { worker: 0, lives: true },
        Step::Beat { worker: 1, lives: true },
        Step::GiveBack,
    ]
}

/// The newest claims are two of lane 0 and one of lane 1.
fn of_records() -> Vec<Step> {
    let all = |end| Step::Record { ends: vec![(0, end), (2, end)] };
    let other = |end| Step::Record { ends: vec![(1, end)] };
    vec![
        all(End::Delivered { plain: true }),
        all(End::Retry { now: true, uncertain: true }),
        all(End::Failed { uncertain: false }),
        all(End::Rejected { refusal: Refusal::AtGithub, probe_now: false }),
        all(End::Limited { said: false }),
        all(End::Released),
        all(End::Lost { may_have_arrived: true }),
        other(End::Delivered { plain: true }),
        other(End::Delivered { plain: false }),
        other(End::Rejected { refusal: Refusal::AtGithub, probe_now: false }),
        other(End::Rejected { refusal: Refusal::Elsewhere, probe_now: false }),
        other(End::Limited { said: true }),
    ]
}

fn of_lanes() -> Vec<Step> {
    vec![
        Step::Acquire { lane: 1, worker: 1, ends_now: false },
        Step::Renew { lease: 1 },
        Step::GiveUp { lease: 1 },
        Step::Probe { lane: 2, lease: Some(0) },
        Step::ReleaseProbed { probe: 0 },
        Step::Pause { lane: 0 },
        Step::Pause { lane: 1 },
        Step::Hold { lane: 0 },
        Step::Release { lane: 2 },
        Step::Secret { lane: 2 },
        Step::NoSecret { lane: 2 },
        Step::Delete { webhook: 1 },
    ]
}
