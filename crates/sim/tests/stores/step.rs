//! Steps, the same for every store: everything in them is a number of something made before.

use std::time::Duration;

use postrider_domain::{LaneLimits, Rate, Refusal};
use proptest::prelude::*;
use uuid::Uuid;

/// Lanes, webhooks and workers of a sequence.
pub(crate) const LANES: usize = 3;
pub(crate) const WEBHOOKS: usize = 4;
pub(crate) const WORKERS: usize = 2;

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// How a claim ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Delivered { plain: bool },
    Retry { now: bool, uncertain: bool },
    Failed { uncertain: bool },
    Rejected { refusal: Refusal, probe_now: bool },
    Limited { said: bool },
    Released,
    Lost { may_have_arrived: bool },
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Put {
        webhook: usize,
        lane: usize,
        enabled: bool,
    },
    Delete {
        webhook: usize,
    },
    /// `claims` says which worker claims at once, and whether the first is left out.
    Commit {
        webhooks: Vec<usize>,
        key: Option<u8>,
        claims: Option<(usize, bool)>,
    },
    MakeDue {
        last: usize,
    },
    Fresh {
        worker: usize,
        last: usize,
        ends_now: bool,
    },
    Due {
        worker: usize,
        lanes: Vec<usize>,
        count: u32,
        suspect: bool,
        ends_now: bool,
    },
    Limited {
        lease: usize,
        count: u32,
        spaced: bool,
        suspect: bool,
        ends_now: bool,
    },
    Record {
        ends: Vec<(usize, End)>,
    },
    Unclaim {
        worker: usize,
        lane: usize,
        last: usize,
        by: u8,
        keeps: usize,
        is_late: bool,
    },
    Expire,
    ReassignLanes,
    Discard,
    SortParked,
    Beat {
        worker: usize,
        lives: bool,
    },
    GiveBack,
    Acquire {
        lane: usize,
        worker: usize,
        ends_now: bool,
    },
    Renew {
        lease: usize,
    },
    GiveUp {
        lease: usize,
    },
    Probe {
        lane: usize,
        lease: Option<usize>,
    },
    Canary {
        probe: usize,
        lease: Option<usize>,
        worker: usize,
    },
    ReleaseProbed {
        probe: usize,
    },
    Pause {
        lane: usize,
    },
    Hold {
        lane: usize,
    },
    Release {
        lane: usize,
    },
    Unpark {
        webhook: usize,
    },
    Secret {
        lane: usize,
    },
    NoSecret {
        lane: usize,
    },
    Sync {
        lane: usize,
        limit: usize,
        limits: LaneLimits,
    },
}

fn limits() -> impl Strategy<Value = LaneLimits> {
    let rate = prop_oneof![
        Just(Rate::Unlimited),
        Just(Rate::Limited { count: 75, per: Duration::from_mins(1) }),
    ];
    (rate, prop_oneof![3 => Just(None), 1 => (1_u32..4).prop_map(Some)])
        .prop_map(|(rate, per_hour)| LaneLimits { rate, burst: 1, concurrency: 1, per_hour })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        2 => Just(Refusal::AtGithub),
        5 => Just(Refusal::Elsewhere),
        1 => Just(Refusal::Hint),
        1 => any::<bool>().prop_map(|is_of_lane| Refusal::SecretMissing { is_of_lane }),
        1 => any::<bool>().prop_map(|is_of_lane| Refusal::SecretUnusable { is_of_lane }),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => any::<bool>().prop_map(|plain| End::Delivered { plain }),
        3 => any::<(bool, bool)>().prop_map(|(now, uncertain)| End::Retry { now, uncertain }),
        1 => any::<bool>().prop_map(|uncertain| End::Failed { uncertain }),
        3 => (refusal(), any::<bool>())
            .prop_map(|(refusal, probe_now)| End::Rejected { refusal, probe_now }),
        1 => any::<bool>().prop_map(|said| End::Limited { said }),
        2 => Just(End::Released),
        1 => any::<bool>().prop_map(|may_have_arrived| End::Lost { may_have_arrived }),
    ]
}

pub(crate) fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![30 => of_deliveries(), 13 => of_lanes()], length)
}

fn of_deliveries() -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    let lanes = prop::collection::vec(0..LANES, 1..3);
    prop_oneof![
        5 => (
            prop::collection::vec(0..WEBHOOKS, 1..3),
            prop::option::weighted(0.3, 0_u8..3),
            prop::option::weighted(0.4, (worker.clone(), prop::bool::weighted(0.2))),
        )
            .prop_map(|(webhooks, key, claims)| Step::Commit { webhooks, key, claims }),
        1 => (1_usize..6).prop_map(|last| Step::MakeDue { last }),
        4 => (worker.clone(), 1_usize..6, any::<bool>())
            .prop_map(|(worker, last, ends_now)| Step::Fresh { worker, last, ends_now }),
        5 => (worker.clone(), lanes, 1_u32..4, any::<u8>(), any::<bool>()).prop_map(
            |(worker, lanes, count, suspect, ends_now)| {
                Step::Due { worker, lanes, count, suspect: suspect < 60, ends_now }
            }
        ),
        5 => (0_usize..4, 1_u32..4, any::<bool>(), any::<u8>(), any::<bool>()).prop_map(
            |(lease, count, spaced, suspect, ends_now)| {
                Step::Limited { lease, count, spaced, suspect: suspect < 60, ends_now }
            }
        ),
        7 => prop::collection::vec((0_usize..12, end()), 1..4)
            .prop_map(|ends| Step::Record { ends }),
        2 => (worker, 0..LANES, 1_usize..6, 0_u8..3, 0_usize..3, prop::bool::weighted(0.2)).prop_map(
            |(worker, lane, last, by, keeps, is_late)| {
                Step::Unclaim { worker, lane, last, by, keeps, is_late }
            }
        ),
        3 => Just(Step::Expire),
        1 => Just(Step::GiveBack),
        1 => Just(Step::ReassignLanes),
        1 => Just(Step::Discard),
        2 => Just(Step::SortParked),
    ]
}

fn of_lanes() -> impl Strategy<Value = Step> {
    let (lane, worker) = (0..LANES, 0..WORKERS);
    prop_oneof![
        2 => (0..WEBHOOKS, lane.clone(), any::<u8>())
            .prop_map(|(webhook, lane, on)| Step::Put { webhook, lane, enabled: on > 50 }),
        1 => (0..WEBHOOKS).prop_map(|webhook| Step::Delete { webhook }),
        2 => (worker.clone(), any::<bool>()).prop_map(|(worker, lives)| Step::Beat { worker, lives }),
        4 => (lane.clone(), worker.clone(), any::<u8>())
            .prop_map(|(lane, worker, at)| Step::Acquire { lane, worker, ends_now: at < 60 }),
        1 => (0_usize..4).prop_map(|lease| Step::Renew { lease }),
        1 => (0_usize..4).prop_map(|lease| Step::GiveUp { lease }),
        2 => (lane.clone(), prop::option::of(0_usize..4))
            .prop_map(|(lane, lease)| Step::Probe { lane, lease }),
        1 => (0_usize..4, prop::option::of(0_usize..4), worker)
            .prop_map(|(probe, lease, worker)| Step::Canary { probe, lease, worker }),
        1 => (0_usize..4).prop_map(|probe| Step::ReleaseProbed { probe }),
        1 => lane.clone().prop_map(|lane| Step::Pause { lane }),
        1 => lane.clone().prop_map(|lane| Step::Hold { lane }),
        1 => lane.clone().prop_map(|lane| Step::Release { lane }),
        1 => (0..WEBHOOKS).prop_map(|webhook| Step::Unpark { webhook }),
        1 => lane.clone().prop_map(|lane| Step::Secret { lane }),
        1 => lane.clone().prop_map(|lane| Step::NoSecret { lane }),
        2 => (lane, 0..LANES, limits())
            .prop_map(|(lane, limit, limits)| Step::Sync { lane, limit, limits }),
    ]
}

/// An id that is the same in every store, later than those before it.
pub(crate) fn id(number: u64) -> Uuid {
    Uuid::from_u128((0x0190_0000_0000_7000_8000_u128 << 48) + u128::from(number))
}
