use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::Rejection;

const PROBE: Duration = Duration::from_mins(1);

fn evidence(webhook: i64, transition: Transition, outcome: Outcome) -> LaneEvidence {
    LaneEvidence { webhook: WebhookId(webhook), transition, outcome: Some(outcome), rejections: 0 }
}

fn rejection(webhook: i64, refusal: Refusal, secret_rev: i64) -> LaneEvidence {
    let transition = Transition::CredentialRejected {
        refusal,
        secret_rev,
        secrets_rev: secret_rev,
        probe_after: PROBE,
    };
    evidence(webhook, transition, Outcome::Credential)
}

fn limit(pause: Option<Duration>) -> LaneEvidence {
    evidence(1, Transition::Limited { pause }, Outcome::RateLimited)
}

fn accepted() -> LaneEvidence {
    evidence(1, Transition::Delivered, Outcome::Accepted)
}

fn failed(outcome: Outcome) -> LaneEvidence {
    evidence(1, Transition::Failed { uncertain: false }, outcome)
}

/// An open lane whose secret is at revision 1, used by three webhooks.
fn open() -> LanePolicy {
    LanePolicy {
        in_use: true,
        has_credential: true,
        secret_rev: 1,
        unaffected: 3,
        ..LanePolicy::default()
    }
}

fn webhook() -> ParkPolicy {
    ParkPolicy { is_in_use: true, secrets_rev: 1, had_succeeded: true, ..ParkPolicy::default() }
}

/// A lane and its three webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct World {
    lane: LanePolicy,
    webhooks: [ParkPolicy; 3],
}

impl World {
    fn new(lane: LanePolicy) -> Self {
        Self { lane, webhooks: [webhook(); 3] }
    }

    fn add(&mut self, evidence: &LaneEvidence) {
        let index = usize::try_from(evidence.webhook.0 - 1).unwrap();
        self.lane.add(evidence, &mut self.webhooks[index]);
    }

    fn parked(&self) -> [bool; 3] {
        self.webhooks.map(|webhook| webhook.parked.is_some())
    }
}

fn after(outcomes: &[LaneEvidence]) -> World {
    let mut world = World::new(open());
    for each in outcomes {
        world.add(each);
    }
    world
}

fn limit_after(outcomes: &[LaneEvidence]) -> LimitPolicy {
    let mut limit = LimitPolicy::default();
    for each in outcomes {
        limit.add(each);
    }
    limit
}

#[test]
fn one_answer_of_github_holds() {
    let World { lane, webhooks } = after(&[rejection(2, Refusal::AtGithub, 1)]);
    assert!(lane.held);
    let webhook = WebhookId(2);
    let hold = Hold { cause: HoldCause::Credential, probe_after: PROBE, webhook };
    assert_eq!((lane.hold, lane.parked_webhook), (Some(hold), Some(webhook)));
    assert!(webhooks.iter().all(|webhook| webhook.park.is_none()));
}

#[test]
fn a_lane_that_nobody_uses_is_not_held() {
    let mut world = World::new(LanePolicy { in_use: false, ..open() });
    world.add(&rejection(1, Refusal::AtGithub, 1));
    world.add(&rejection(2, Refusal::Elsewhere, 1));
    assert!(!world.lane.held);
    assert_eq!(world.parked(), [false; 3]);
}

#[test]
fn a_held_lane_is_not_held_anew() {
    let mut world = World::new(LanePolicy { held: true, ..open() });
    for refusal in [Refusal::AtGithub, Refusal::Elsewhere, Refusal::Hint] {
        world.add(&rejection(1, refusal, 1));
    }
    assert_eq!((world.lane.hold, world.parked()), (None, [false; 3]));
}

#[test]
fn a_refusal_of_an_older_secret_says_nothing() {
    for refusal in [Refusal::AtGithub, Refusal::Elsewhere, Refusal::Hint] {
        assert_eq!(after(&[rejection(1, refusal, 0)]), after(&[]));
    }
}

#[test]
fn elsewhere_one_webhook_is_parked_and_two_hold_the_lane() {
    let refused = |webhook| rejection(webhook, Refusal::Elsewhere, 1);
    let world = after(&[refused(1), refused(1), refused(1)]);
    assert_eq!((world.lane.held, world.parked()), (false, [true, false, false]));
    assert!(after(&[refused(1), refused(2)]).lane.held);
    let alive = |outcome| LaneEvidence { webhook: WebhookId(3), ..failed(outcome) };
    let world = after(&[refused(1), alive(Outcome::NotFound), refused(2)]);
    assert_eq!((world.lane.held, world.parked()), (false, [true, true, false]));
    let unmoved = after(&[refused(1), alive(Outcome::Timeout), refused(2)]);
    assert!(unmoved.lane.held, "a time-out says nothing of the credential");
}

#[test]
fn a_hint_parks_and_proves_nothing() {
    let hint = |webhook| rejection(webhook, Refusal::Hint, 1);
    let world = after(&[hint(1), hint(2), rejection(3, Refusal::Elsewhere, 1)]);
    assert_eq!((world.lane.held, world.parked()), (false, [true; 3]));
}

#[test]
fn a_lane_without_a_credential_is_not_held_by_an_answer() {
    let mut world = World::new(LanePolicy { has_credential: false, ..open() });
    world.add(&rejection(1, Refusal::AtGithub, 1));
    world.add(&rejection(2, Refusal::Elsewhere, 1));
    assert_eq!((world.lane.held, world.parked()), (false, [true, true, false]));
}

#[test]
fn a_missing_secret_holds_the_lane_once_all_its_webhooks_lack_it() {
    for refusal in [
        |is_of_lane| Refusal::SecretMissing { is_of_lane },
        |is_of_lane| Refusal::SecretUnusable { is_of_lane },
    ] {
        let lacks = |webhook, is_of_lane| rejection(webhook, refusal(is_of_lane), 1);
        let two = after(&[lacks(1, true), lacks(1, true), lacks(2, true)]);
        assert_eq!((two.lane.held, two.parked()), (false, [true, true, false]));
        let mut all = two.clone();
        all.add(&lacks(3, true));
        assert_eq!(all.lane.hold.map(|hold| hold.cause), Some(refusal(true).cause()));
        let mut other = two;
        other.add(&lacks(3, false));
        assert_eq!((other.lane.held, other.parked()), (false, [true; 3]));
    }
}

#[test]
fn what_a_refusal_means_to_its_delivery() {
    let meant =
        |world: &World, evidence: &LaneEvidence| world.webhooks[0].rejection(&world.lane, evidence);
    let (now, old) = (rejection(1, Refusal::Elsewhere, 1), rejection(1, Refusal::Elsewhere, 0));
    let world = after(&[now]);
    assert_eq!(meant(&world, &now), Rejection::Parked { had_succeeded: true });
    assert_eq!(meant(&world, &old), Rejection::Outdated);
    let world = after(&[rejection(1, Refusal::AtGithub, 1)]);
    assert_eq!(
        (meant(&world, &now), meant(&world, &old)),
        (Rejection::LaneHeld, Rejection::LaneHeld)
    );
}

#[test]
fn a_delivery_that_is_refused_alone_parks_nothing() {
    let third = LaneEvidence { rejections: 2, ..rejection(1, Refusal::Elsewhere, 1) };
    let world = after(&[third]);
    assert_eq!(world.parked(), [false; 3]);
    let meant = world.webhooks[0].rejection(&world.lane, &third);
    assert_eq!(meant, Rejection::NotTheCredential);
    let mut unproven = World::new(open());
    unproven.webhooks[0].had_succeeded = false;
    unproven.add(&third);
    assert_eq!(unproven.parked(), [true, false, false], "nothing succeeded in between");
}

#[test]
fn an_unspoken_pause_doubles_once_a_batch_up_to_a_quarter_of_an_hour() {
    let mut step = 0;
    for expected in [1, 2, 4, 8, 15, 15] {
        let mut policy = LimitPolicy::new(step);
        policy.add(&limit(None));
        policy.add(&limit(None));
        assert_eq!(policy.pause, Some(Duration::from_mins(expected)));
        step = policy.pause_step;
    }
    assert_eq!(step, 6);
    let mut endless = LimitPolicy::new(u32::MAX);
    endless.add(&limit(None));
    assert_eq!(endless.pause, Some(Duration::from_mins(15)));
}

#[test]
fn a_pause_of_no_time_is_a_second_and_doubles() {
    let mut step = 0;
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        let mut policy = LimitPolicy::new(step);
        policy.add(&limit(Some(Duration::ZERO)));
        policy.add(&limit(Some(Duration::ZERO)));
        assert_eq!(policy.pause, Some(Duration::from_secs(expected)));
        step = policy.pause_step;
    }
}

#[test]
fn the_longest_pause_wins_and_another_answer_starts_over() {
    let policy = limit_after(&[limit(Some(Duration::from_secs(90))), limit(None)]);
    assert_eq!(policy.pause, Some(Duration::from_secs(90)));
    assert_eq!(policy.pause_step, 1);
    assert_eq!(limit_after(&[limit(None), accepted()]).pause_step, 0);
    assert_eq!(limit_after(&[limit(None), failed(Outcome::Invalid)]).pause_step, 0);
    assert_eq!(limit_after(&[limit(None), failed(Outcome::Timeout)]).pause_step, 1);
    assert_eq!(limit_after(&[limit(None), limit(Some(Duration::ZERO))]).pause_step, 1);
    assert_eq!(limit_after(&[limit(None), accepted(), limit(None)]).pause_step, 1);
}

fn any_evidence() -> impl Strategy<Value = LaneEvidence> {
    let refusal = prop_oneof![
        Just(Refusal::AtGithub),
        Just(Refusal::Elsewhere),
        Just(Refusal::Hint),
        any::<bool>().prop_map(|is_of_lane| Refusal::SecretMissing { is_of_lane }),
    ];
    let pause = proptest::option::of((0..10_000_u64).prop_map(Duration::from_secs));
    prop_oneof![
        (1..4_i64, refusal, 0..3_i64)
            .prop_map(|(webhook, refusal, rev)| rejection(webhook, refusal, rev)),
        pause.prop_map(limit),
        Just(accepted()),
        proptest::sample::select(Outcome::ALL.to_vec()).prop_map(failed),
        Just(LaneEvidence {
            webhook: WebhookId(1),
            transition: Transition::Released { after: Duration::ZERO },
            outcome: None,
            rejections: 0,
        }),
    ]
}

proptest! {
    /// What is held was refused, and the first of a lane that is open is parked.
    #[test]
    fn an_open_lane_is_short_of_proof(batch in vec(any_evidence(), 0..30)) {
        let World { lane, webhooks } = after(&batch);
        prop_assert_eq!(lane.held, lane.hold.is_some());
        if let Some(first) = lane.parked_webhook.filter(|_| !lane.held) {
            let index = usize::try_from(first.0 - 1).unwrap();
            prop_assert!(webhooks[index].parked.is_some());
        }
        for webhook in webhooks {
            prop_assert_eq!(webhook.parked, webhook.park);
        }
    }

    /// It makes no difference whether outcomes are recorded together or one after the other.
    #[test]
    fn holds_do_not_depend_on_batches(batch in vec(any_evidence(), 0..30), cut in 0..30_usize) {
        let cut = cut.min(batch.len());
        let whole = after(&batch);
        let mut parts = after(&batch[..cut]);
        let held_before = parts.lane.hold.take();
        for each in &batch[cut..] {
            parts.add(each);
        }
        prop_assert_eq!(parts.lane.hold.or(held_before), whole.lane.hold);
        prop_assert_eq!(parts.lane.held, whole.lane.held);
        prop_assert_eq!(parts.lane.parked_webhook, whole.lane.parked_webhook);
        prop_assert_eq!(parts.webhooks, whole.webhooks);
    }

    /// No pause that a target names is cut short, and one that it does not name is bounded.
    #[test]
    fn pauses_cover_what_was_said(batch in vec(any_evidence(), 0..30), step in 0..20_u32) {
        let mut policy = LimitPolicy::new(step);
        for each in &batch {
            policy.add(each);
        }
        let said = batch.iter().filter_map(|each| match each.transition {
            Transition::Limited { pause: Some(Duration::ZERO) } => Some(FIRST_SHORT_PAUSE),
            Transition::Limited { pause } => Some(pause.unwrap_or(FIRST_PAUSE)),
            Transition::Delivered
            | Transition::Retry { .. }
            | Transition::Failed { .. }
            | Transition::CredentialRejected { .. }
            | Transition::Released { .. }
            | Transition::Lost { .. } => None,
        });
        let most = said.max();
        prop_assert!(policy.pause >= most);
        prop_assert!(policy.pause <= most.map(|most| most.max(LONGEST_PAUSE)));
    }
}
