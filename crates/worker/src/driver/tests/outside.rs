//! What comes from outside: messages, probes, time, a stop, ways that are closed, attempts that
//! are cut off.

use postrider_domain::{LaneState, Outcome};
use postrider_queue::{Received, Tag};
use postrider_testkit::acts;

use super::world::Scripted;
use super::*;

fn message(world: &World, id: postrider_domain::DeliveryId, tag: (u64, u64)) -> OutsideEvent {
    OutsideEvent::Received(vec![Received {
        deliveries: vec![(id, world.lane())],
        wake: vec![LaneId(7)],
        redelivered: false,
        tag: Tag { generation: tag.0, delivery: tag.1 },
        context: None,
    }])
}

/// What a message brought.
async fn brought(script: &mut Script) -> usize {
    match script.hears().await {
        Event::Received { deliveries, wake } => {
            assert_eq!(wake, [LaneId(7)]);
            deliveries.len()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_are_told_once_until_they_are_answered_or_given_back() {
    let world = World::new(LaneLimits::OTHER).await;
    let id = world.accept(1).await[0];
    let mut script = Script::of(&world);
    script.outside(message(&world, id, (1, 1))).await;
    assert_eq!(brought(&mut script).await, 1);
    script.outside(message(&world, id, (1, 2))).await;
    assert_eq!(brought(&mut script).await, 0, "it is under way");
    script.asks(Command::Ack { ids: vec![id] }).await;
    script.catches_up().await;
    script.outside(message(&world, id, (1, 3))).await;
    assert_eq!(brought(&mut script).await, 1, "it was answered, and came again");
    script.asks(Command::PauseConsumer).await;
    script.catches_up().await;
    script.outside(message(&world, id, (1, 4))).await;
    assert_eq!(brought(&mut script).await, 0, "nothing more is taken of a channel that closes");
    script.asks(Command::ResumeConsumer).await;
    script.catches_up().await;
    script.outside(message(&world, id, (2, 1))).await;
    assert_eq!(brought(&mut script).await, 1, "what was given back came by another channel");
    script.stop().await;
}

/// T1c, from the offer to the recorded outcome.
#[tokio::test]
async fn what_intake_offers_is_claimed_by_its_commit() {
    let world = World::new(LaneLimits::OTHER).await;
    let mut script = Script::of(&world);
    let batch_of = world.batch(1).await;
    let id = batch_of.entries[0].deliveries[0].id;
    let offered = async |script: &mut Script| {
        let (answer, right) = oneshot::channel();
        let deliveries = vec![(id, world.lane())];
        script.outside(OutsideEvent::Offered { deliveries, answer }).await;
        let Event::Offered { offer, .. } = script.hears().await else { panic!("it is offered") };
        (offer, right)
    };
    // It is answered once, by what the scheduler says.
    let (offer, refused) = offered(&mut script).await;
    script.asks(Command::Decline { offer }).await;
    refused.await.unwrap_err();
    let (offer, right) = offered(&mut script).await;
    script.asks(Command::ClaimAtIntake { offer, batch: batch(1), ids: vec![id] }).await;
    let right = right.await.unwrap();
    let entered = world.hands.store.commit_events_claiming(&batch_of, Some(right)).await;
    assert_eq!(entered.unwrap().unwrap().claimed, [id].into());
    let claim = claims(script.hears().await).remove(0);
    let start = Command::Start { claim, permit: permit(1), send: SendWhen::Ready };
    script.asks(start).await;
    assert!(matches!(ended(script.hears().await), Ended::Answered { .. }));
    world.recorded(id, DeliveryStatus::Delivered).await;
    // Nobody waits for the answer any more: nothing was claimed.
    let (offer, gone) = offered(&mut script).await;
    drop(gone);
    script.asks(Command::ClaimAtIntake { offer, batch: batch(2), ids: vec![id] }).await;
    assert!(claims(script.hears().await).is_empty());
    // Given up amidst its commit: nobody knows.
    let (offer, right) = offered(&mut script).await;
    script.asks(Command::ClaimAtIntake { offer, batch: batch(3), ids: vec![id] }).await;
    drop(right.await.unwrap());
    let Event::ClaimFailed { commit: CommitResult::Unknown, .. } = script.hears().await else {
        panic!("it may have been committed");
    };
    script.stop().await;
}

#[tokio::test]
async fn a_probe_says_that_it_is_ready_and_ends() {
    let world = World::new(LaneLimits::OTHER).await;
    let lane = world.lane();
    let mut script = Script::of(&world);
    let probe = |number| Command::Probe {
        lane,
        lease: None,
        interval: Duration::ZERO,
        permit: permit(number),
    };
    script.asks(probe(1)).await;
    let Event::Probed { permit: ended } = script.hears().await else { panic!("it is open") };
    ended.forfeit();
    let id = world.hold().await;
    script.asks(probe(2)).await;
    let Event::Prepared { ticket, claim: Some(claim) } = script.hears().await else {
        panic!("it has a delivery to send");
    };
    assert_eq!((claim.id, world.double.counts().requests), (id, 0));
    script.asks(Command::Send(ticket)).await;
    let Event::Probed { permit: ended } = script.hears().await else { panic!("it ends") };
    assert_eq!(ended.ticket(), ticket);
    ended.forfeit();
    world.recorded(id, DeliveryStatus::Delivered).await;
    assert_eq!(acts::lane(&world.hands.store, lane).await.state, LaneState::Open);
    script.stop().await;
}

/// Wants to be woken at an instant, once.
struct Waking {
    scripted: Scripted,
    at: Option<Millis>,
}

impl Decides for Waking {
    fn on(&mut self, now: Millis, event: Happened, todo: &mut Vec<Todo>) {
        if matches!(event, Event::Timeout) {
            let at = self.at.take().expect("it is woken once");
            assert!(now >= at, "woken too early: {now:?}");
        }
        self.scripted.on(now, event, todo);
    }

    fn next_wakeup(&self) -> Option<Millis> {
        self.at
    }
}

#[tokio::test]
async fn it_is_woken_in_time_and_told_of_a_stop() {
    let world = World::new(LaneLimits::OTHER).await;
    let at = Millis(world.hands.clock.now().0 + 20);
    let mut script = Script::waking(&world, |scripted| Waking { scripted, at: Some(at) });
    assert!(matches!(script.hears().await, Event::Timeout));
    script.cancel.cancel();
    assert!(matches!(script.hears().await, Event::Stop));
    // It is told once, and works until the scheduler says that it has stopped.
    script.asks(Command::Poll(Which::Those(Vec::new()))).await;
    assert!(matches!(script.hears().await, Event::Polled { .. }));
    script.stop().await;
}

#[tokio::test]
async fn answers_are_heard_when_nothing_comes_from_outside_any_more() {
    let world = World::new(LaneLimits::OTHER).await;
    let mut script = Script::of(&world);
    let poll = || Command::Poll(Which::Those(Vec::new()));
    script.asks(poll()).await;
    script.closes_outside();
    script.asks_next_time(poll());
    for _ in 0..2 {
        assert!(matches!(script.hears().await, Event::Polled { .. }));
    }
    script.cancel.cancel();
    assert!(matches!(script.hears().await, Event::Stop));
}

/// A recorder that is gone keeps no permit.
#[tokio::test]
async fn an_attempt_whose_outcome_nobody_records_ends_all_the_same() {
    let mut world = World::new(LaneLimits::OTHER).await;
    let ids = world.accept(2).await;
    let (nobody, _) = mpsc::channel(1);
    world.hands.recorder = nobody;
    let mut script = Script::of(&world);
    script.asks(Command::ClaimFresh { batch: batch(1), ids }).await;
    let got = claims(script.hears().await);
    let due_in = Duration::ZERO;
    script.asks(Command::Release { claim: got[1].clone(), due_in }).await;
    script
        .asks(Command::Start { claim: got[0].clone(), permit: permit(1), send: SendWhen::Ready })
        .await;
    assert!(matches!(ended(script.hears().await), Ended::Answered { .. }));
    script.stop().await;
}

/// At the end of the grace: the request may have arrived.
#[tokio::test]
async fn an_attempt_that_is_cut_off_is_lost() {
    let world = World::new(LaneLimits::OTHER).await;
    world.double.script("one", vec![Play::HalfOpen]).unwrap();
    let ids = world.accept(1).await;
    let mut script = Script::of(&world);
    script.asks(Command::ClaimFresh { batch: batch(1), ids: ids.clone() }).await;
    let claim = claims(script.hears().await).remove(0);
    script.asks(Command::Start { claim, permit: permit(1), send: SendWhen::Ready }).await;
    let begun = async {
        while world.double.counts().requests == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    world.hands.cut.cancel();
    assert!(matches!(ended(script.hears().await), Ended::Panicked));
    world.recorded(ids[0], DeliveryStatus::Retrying).await;
    let seen = acts::seen(&world.hands.store, ids[0]).await;
    assert_eq!(seen.last_outcome, Some(Outcome::Lost));
    script.stop().await;
}
