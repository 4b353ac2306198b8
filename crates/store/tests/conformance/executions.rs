//! E1-E6: a test of a webhook goes the way of all deliveries, once, while somebody waits.

use std::time::Duration;

use futures_util::future::join;
use postrider_domain::{
    DeliveryId, DeliveryStatus, Event, EventId, EventName, HoldCause, LaneState, Outcome, Selector,
    StoredStatus, WebhookId,
};
use postrider_store::{
    BulkKind, DeliveryFilter, LaneSpec, NewExecution, Recorded, Refusal, Started, Store,
    StoredWebhook, Subject,
};
use postrider_testkit::acts::*;
use uuid::Uuid;

use crate::acts::view;
use crate::harness::World;

fn test_event() -> Event {
    Event { event_name: EventName::Test, ..event() }
}

fn execution(subject: Subject, wait: Duration) -> NewExecution {
    NewExecution {
        id: DeliveryId(Uuid::now_v7()),
        event_id: EventId(Uuid::now_v7()),
        event: test_event(),
        traceparent: None,
        subject,
        wait,
    }
}

/// Starts a test of a stored webhook that waits for a minute.
async fn start(store: &Store, webhook: &StoredWebhook) -> DeliveryId {
    start_for(store, Subject::Saved(webhook.id), MINUTE).await
}

async fn start_for(store: &Store, subject: Subject, wait: Duration) -> DeliveryId {
    let new = execution(subject, wait);
    let started = store.start_execution(&new).await.unwrap();
    assert!(matches!(started, Started::Waiting(_)), "{started:?}");
    new.id
}

fn unsaved(uuid: &str, lane: &LaneSpec) -> Subject {
    Subject::Unsaved(Box::new(write(webhook(uuid), lane, &[])))
}

async fn stage(store: &Store, id: DeliveryId) -> StoredStatus {
    store.execution(id).await.unwrap().expect("the test is there").status
}

async fn all(store: &Store, filter: DeliveryFilter) -> Vec<DeliveryId> {
    let page = store.deliveries(&filter, None, 100).await.unwrap();
    page.deliveries.iter().map(|row| row.id).collect()
}

pub(crate) async fn a_test_goes_before_all_that_wait(world: World) {
    let store = world.store();
    for spec in [limited("a"), unlimited("b")] {
        let one = put(store, &format!("one-{}", spec.name), &spec).await;
        accept(store, &one, 3).await;
        let id = start(store, &one).await;
        let claim = if one.lane_limited {
            let lease = lead(store, one.lane_id).await;
            some_as(store, lease, 1).await.remove(0)
        } else {
            some_due(store, one.lane_id, 1).await.remove(0)
        };
        assert_eq!(claim.id, id);
        assert!(claim.execution && claim.event.contains(r#""event_name":"test""#), "{claim:?}");
        assert_eq!(stage(store, id).await, StoredStatus::Sending);
        record(store, &[delivered(&claim)]).await;
        assert_eq!(stage(store, id).await, StoredStatus::Delivered);
        assert_eq!(view(store, id).await.attempts.len(), 1);
    }
}

pub(crate) async fn a_message_claims_a_test(world: World) {
    let store = world.another(HOUR).await;
    let one = put(&store, "one", &unlimited("a")).await;
    let id = start(&store, &one).await;
    let claims = by_message(&store, &[id]).await;
    assert_eq!(ids(&claims), [id]);
    assert!(claims[0].execution);
    assert!(by_message(&store, &[id]).await.is_empty(), "once");
    store.close().await;
}

/// COUNT_CLAIM, and the lease, as for any other.
pub(crate) async fn a_test_counts_in_the_hour(world: World) {
    let store = world.store();
    let mut spec = limited("a");
    spec.limits.per_hour = Some(1);
    let one = put(store, "one", &spec).await;
    accept(store, &one, 1).await;
    let (first, second) = (start(store, &one).await, start(store, &one).await);
    let lease = lead(store, one.lane_id).await;
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), [first]);
    let full = claim_as(store, lease, MINUTE).await;
    assert!(matches!(full, postrider_store::LimitedClaim::HourFull { .. }), "{full:?}");
    assert_eq!(stage(store, second).await, StoredStatus::Waiting);
}

pub(crate) async fn any_outcome_of_a_test_is_final(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let several = |claim: &_| rejected(claim, Refusal::Elsewhere);
    let outcomes: [fn(&postrider_store::Claim) -> Recorded; 4] = [
        |claim| retry(claim, Duration::ZERO, true),
        failed,
        several,
        |claim| over_limit(claim, Some(Duration::from_micros(1))),
    ];
    for outcome in outcomes {
        let id = start(store, &one).await;
        let claim = due(store, one.lane_id).await.remove(0);
        assert_eq!(claim.id, id);
        let report = record(store, &[outcome(&claim)]).await;
        assert!(report.late.is_empty());
        assert_eq!(stage(store, id).await, StoredStatus::Failed);
        assert!(due(store, one.lane_id).await.is_empty(), "nothing is given back");
        let seen = view(store, id).await;
        assert_eq!((seen.row.attempts, seen.attempts.len()), (1, 1));
    }
}

/// FENCE and CLAIM_NO hold for tests too, and T11 gives them back, before all others.
pub(crate) async fn a_test_that_was_not_sent_is_first_again(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    accept(store, &one, 2).await;
    let id = start(store, &one).await;
    let first = some_due(store, one.lane_id, 1).await.remove(0);
    record(store, &[released(&first)]).await;
    assert_eq!(stage(store, id).await, StoredStatus::Waiting);
    let again = some_due(store, one.lane_id, 1).await.remove(0);
    assert_eq!((again.id, again.attempt), (id, 1));
    assert!(again.claim_no > first.claim_no);
    let late = record(store, &[delivered(&first)]).await.late;
    assert_eq!(late, [(id, first.claim_no)]);
    assert_eq!(stage(store, id).await, StoredStatus::Sending);
}

pub(crate) async fn tests_are_no_streak(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    accept(store, &one, 1).await;
    let claim = due(store, one.lane_id).await.remove(0);
    record(store, &[failed(&claim)]).await;
    for outcome in [failed, delivered] {
        start(store, &one).await;
        let claim = due(store, one.lane_id).await.remove(0);
        record(store, &[outcome(&claim)]).await;
        let streaks = store.streaks().await.unwrap();
        assert_eq!(streaks.iter().map(|fact| fact.failures).collect::<Vec<_>>(), [1]);
    }
}

/// E4: claim and withdrawal at once, and exactly one of them gets the test.
pub(crate) async fn a_withdrawal_or_a_claim_wins(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let (mut withdrawals, mut claims) = (0, 0);
    for _ in 0..24 {
        let id = start(store, &one).await;
        let claim = async { some_due(store, one.lane_id, 1).await };
        let (withdrawn, claimed) = join(store.withdraw_execution(id), claim).await;
        let withdrawn = withdrawn.unwrap();
        assert_eq!(claimed.is_empty(), withdrawn, "one of the two");
        if withdrawn {
            withdrawals += 1;
            assert_eq!(stage(store, id).await, StoredStatus::Discarded);
            assert_eq!(view(store, id).await.row.last_outcome, Some(Outcome::Withdrawn));
            assert!(
                by_message(store, &[id]).await.is_empty()
                    && due(store, one.lane_id).await.is_empty()
            );
        } else {
            claims += 1;
            assert!(!store.withdraw_execution(id).await.unwrap(), "it is being sent");
            record(store, &[delivered(&claimed[0])]).await;
        }
        assert!(!store.withdraw_execution(id).await.unwrap(), "it is final");
    }
    assert_eq!(withdrawals + claims, 24);
    let delivery = accept(store, &one, 1).await[0];
    assert!(!store.withdraw_execution(delivery).await.unwrap(), "deliveries are not withdrawn");
}

/// E5.
pub(crate) async fn a_lost_test_is_not_sent_again(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let id = start(store, &one).await;
    let claim = due_for(store, one.lane_id, ms(20)).await.remove(0);
    let expired = wait_until(store, "the claim to expire", async || {
        let expired = store.expire_claims(10).await.unwrap();
        (!expired.given_back.is_empty()).then_some(expired)
    })
    .await;
    assert_eq!((expired.given_back, expired.poisoned), (vec![id], Vec::new()));
    let seen = view(store, id).await;
    assert_eq!(seen.row.status, DeliveryStatus::Failed);
    assert_eq!(seen.row.last_outcome, Some(Outcome::Lost));
    assert!(due(store, one.lane_id).await.is_empty());
    let late = record(store, &[delivered(&claim)]).await.late;
    assert_eq!(late.len(), 1);
    assert_eq!(stage(store, id).await, StoredStatus::Failed);
    assert_eq!(view(store, id).await.attempts[0].outcome, Outcome::Accepted, "what came of it");
}

/// E2: whoever waits no longer gets nothing sent, E6: and nothing is left of it.
pub(crate) async fn nobody_waits_for_ever(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let id = start_for(store, Subject::Saved(one.id), Duration::ZERO).await;
    let other = start_for(store, unsaved("two", &limited("b")), Duration::ZERO).await;
    let kept = start(store, &one).await;
    assert!(by_message(store, &[id]).await.is_empty(), "too late");
    assert_eq!(ids(&due(store, one.lane_id).await), [kept]);
    let swept = store.sweep_executions(HOUR, 10).await.unwrap();
    assert_eq!((swept.withdrawn, swept.dropped), (2, 0));
    assert_eq!(stage(store, id).await, StoredStatus::Discarded);
    assert!(store.delivery(other).await.unwrap().is_some(), "it can be looked up for a while");
    let swept = store.sweep_executions(Duration::ZERO, 10).await.unwrap();
    assert_eq!((swept.withdrawn, swept.dropped), (0, 2));
    for gone in [id, other] {
        assert_eq!(store.execution(gone).await.unwrap(), None);
        assert!(store.delivery(gone).await.unwrap().is_none());
    }
    let rows: Vec<WebhookId> = (1..10).map(WebhookId).collect();
    let left = store.webhooks_by_id(&rows).await.unwrap();
    assert_eq!(left.iter().map(|left| left.id).collect::<Vec<_>>(), [one.id], "only the saved one");
    assert!(store.webhook(&one.webhook.uuid).await.unwrap().is_some(), "the saved one is not");
    assert_eq!(stage(store, kept).await, StoredStatus::Sending);
}

pub(crate) async fn an_unsaved_webhook_is_never_listed(world: World) {
    let store = world.store();
    let before = version(store).await;
    let id = start_for(store, unsaved("one", &unlimited("a")), MINUTE).await;
    assert_eq!(version(store).await, before, "nobody has to match anew");
    let table = store.webhook_table(None).await.unwrap().unwrap();
    assert!(table.webhooks.is_empty());
    let uuid = webhook("one").uuid;
    assert!(store.webhook(&uuid).await.unwrap().is_none());
    assert!(!store.delete_webhook(&uuid).await.unwrap());
    let lane = store.lanes().await.unwrap().remove(0);
    assert!(store.lane_webhook(lane.id).await.unwrap().is_none(), "nothing to probe with");
    let claim = due(store, lane.id).await.remove(0);
    assert_eq!(claim.id, id);
    let found = store.webhooks_by_id(&[claim.webhook_id]).await.unwrap();
    assert_eq!(found[0].webhook.request, webhook("one").request);
    record(store, &[delivered(&claim)]).await;
    assert_eq!(view(store, id).await.row.webhook_uuid, uuid);
    assert_eq!(store.discard(10).await.unwrap(), 0);
}

/// Nothing waits in the lane of a webhook that is not saved, so nothing would open it.
pub(crate) async fn a_refusal_holds_no_lane_that_nobody_uses(world: World) {
    let store = world.store();
    let id = start_for(store, unsaved("one", &unlimited("a")), MINUTE).await;
    let lane_id = store.lanes().await.unwrap()[0].id;
    let claim = due(store, lane_id).await.remove(0);
    let report = record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
    assert!(report.held.is_empty());
    assert_eq!(lane(store, lane_id).await.state, LaneState::Open);
    assert_eq!(stage(store, id).await, StoredStatus::Failed);
    put(store, "two", &unlimited("a")).await;
    let id = start_for(store, unsaved("three", &unlimited("a")), MINUTE).await;
    let claim = due(store, lane_id).await.remove(0);
    let report = record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
    assert_eq!(report.held, [lane_id], "now it is proof for a webhook that is in use");
    assert_eq!(stage(store, id).await, StoredStatus::Failed);
}

pub(crate) async fn a_held_lane_is_told_at_once(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    hold_with(store, &one).await;
    for subject in [Subject::Saved(one.id), unsaved("two", &unlimited("a"))] {
        let new = execution(subject, MINUTE);
        let Started::Held(stop) = store.start_execution(&new).await.unwrap() else {
            panic!("the lane is held");
        };
        assert_eq!((stop.lane.as_str(), stop.state), ("a", LaneState::Held(HoldCause::Credential)));
        assert!(stop.held_since.is_some());
        assert_eq!(store.execution(new.id).await.unwrap(), None, "nothing was written");
    }
    let new = execution(Subject::Saved(WebhookId(99_999)), MINUTE);
    assert_eq!(store.start_execution(&new).await.unwrap(), Started::Gone);
}

/// A test that waits while its lane becomes held is no probe delivery, and says what is in the way.
pub(crate) async fn the_canary_is_no_test(world: World) {
    let store = world.store();
    let one = put_write(store, &write(webhook("one"), &unlimited("a"), &["token"])).await;
    let waiting = accept(store, &one, 1).await[0];
    let proof = by_message(store, &[waiting]).await.remove(0);
    let id = start(store, &one).await;
    record(store, &[rejected(&proof, Refusal::AtGithub)]).await;
    let seen = store.execution(id).await.unwrap().unwrap();
    assert_eq!(seen.status, StoredStatus::Waiting);
    assert_eq!(seen.lane.state, LaneState::Held(HoldCause::Credential));
    let probe = store.claim_probe(one.lane_id, None, Duration::ZERO).await.unwrap().unwrap();
    let probed = probe_claim(store, one.lane_id, probe, None).await;
    assert_eq!(probed.map(|claim| claim.id), Some(waiting));
    let probed = probe_claim(store, one.lane_id, probe, None).await;
    assert!(probed.is_none(), "{probed:?}");
}

pub(crate) async fn a_disabled_webhook_can_be_tested(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    disable(store, "one", &unlimited("a")).await;
    let id = start(store, &one).await;
    assert_eq!(store.discard(10).await.unwrap(), 0, "it is no delivery of an event");
    let claim = due(store, one.lane_id).await.remove(0);
    assert_eq!(claim.id, id);
    record(store, &[delivered(&claim)]).await;
    assert_eq!(stage(store, id).await, StoredStatus::Delivered);
}

pub(crate) async fn lists_and_replays_leave_tests_out(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let id = start(store, &one).await;
    let claim = due(store, one.lane_id).await.remove(0);
    record(store, &[failed(&claim)]).await;
    assert!(all(store, DeliveryFilter::default()).await.is_empty());
    let of_webhook =
        DeliveryFilter { webhook: Some(one.webhook.uuid.clone()), ..DeliveryFilter::default() };
    assert!(all(store, of_webhook).await.is_empty());
    let tests = DeliveryFilter { event: Some(EventName::Test), ..DeliveryFilter::default() };
    assert_eq!(all(store, tests.clone()).await, [id]);
    assert_eq!(view(store, id).await.row.event_name, EventName::Test);
    let named = DeliveryFilter { ids: Some(vec![id]), ..DeliveryFilter::default() };
    for filter in [DeliveryFilter::default(), tests, named] {
        let plan = store.bulk(BulkKind::Replay { forget_marks: false }, &filter).await.unwrap();
        assert!(plan.by_lane.is_empty() && plan.left_alone == 0, "{plan:?}");
    }
    assert_eq!(stage(store, id).await, StoredStatus::Failed);
}

pub(crate) async fn what_is_in_the_way_is_seen(world: World) {
    let store = world.store();
    let one = put(store, "one", &limited("a")).await;
    let id = start(store, &one).await;
    let seen = async || store.execution(id).await.unwrap().unwrap().lane;
    assert!(seen().await.leaderless);
    let lease = lead(store, one.lane_id).await;
    assert!(!seen().await.leaderless);
    assert_eq!(seen().await.paused_until, None);
    store.pause(one.lane_id, MINUTE).await.unwrap();
    assert!(seen().await.paused_until.is_some());
    assert!(matches!(
        claim_as(store, lease, MINUTE).await,
        postrider_store::LimitedClaim::NotPermitted
    ));
    let delivery = accept(store, &one, 1).await[0];
    assert_eq!(store.execution(delivery).await.unwrap(), None, "that is no test");
}

pub(crate) async fn the_latest_event_of_a_pair_is_found(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let name = |name: &str| Some(Selector::Name(name.to_owned()));
    let label = |label: &str| Some(Selector::Label(label.to_owned()));
    let latest = async |consumer: Option<Selector>, provider: Option<Selector>| {
        let found = store.latest_event(consumer.as_ref(), provider.as_ref()).await.unwrap();
        found.map(|event| event.pact_url)
    };
    assert_eq!(latest(None, None).await, None);
    for (number, consumer) in [(1, "C"), (2, "D"), (3, "C"), (4, "E")] {
        let mut entry = entry(None, &[]);
        edit(&mut entry, |event| {
            event.consumer = pacticipant(consumer);
            event.consumer.labels = vec![format!("label-{consumer}")];
            event.pact_url = number.to_string();
        });
        commit(store, vec![entry]).await;
    }
    let mut test = execution(Subject::Saved(one.id), MINUTE);
    test.event.consumer = pacticipant("C");
    store.start_execution(&test).await.unwrap();
    assert_eq!(latest(name("C"), name("P")).await.as_deref(), Some("3"), "tests are no events");
    assert_eq!(latest(None, None).await.as_deref(), Some("4"));
    assert_eq!(latest(label("label-D"), None).await.as_deref(), Some("2"));
    for (consumer, provider) in
        [(name("C"), name("Q")), (name("X"), None), (label("C"), None), (None, label("P"))]
    {
        assert_eq!(latest(consumer, provider).await, None);
    }
}
