//! Ends that nobody wished for: panics, cancellations, a scheduler that is gone.

use std::sync::atomic::{AtomicU32, Ordering};

use postrider_domain::{Outcome, Transition};
use postrider_store::Recorded;
use postrider_telemetry::Supervisor;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::world::Scripted;
use super::*;
use crate::attempt::InHand;
use crate::driver::owed::{Events, Owed, OwedPermit, channel};
use postrider_scheduler::Settings;

/// A claim with somewhere to record it.
async fn in_hand(world: &World) -> (InHand, mpsc::Sender<Recorded>, mpsc::Receiver<Recorded>) {
    let ids = world.accept(1).await;
    let terms = world.hands.context.config.terms(world.hands.worker);
    let claim = world.hands.store.claim_fresh(&ids, terms).await.unwrap().remove(0);
    let asked_at = crate::clock::BoottimeInstant::now();
    let held = Arc::new(HeldClaim { claim, asked_at, message: None, is_probe: false });
    let (recorder, outcomes) = mpsc::channel(8);
    (InHand::new(held, recorder.clone()), recorder, outcomes)
}

async fn panics(work: impl FnOnce() + Send + 'static) {
    let tracker = TaskTracker::new();
    let joined = tracker.spawn(async move { work() }).await;
    assert!(joined.unwrap_err().is_panic());
}

fn way() -> (Events, Inbox, mpsc::Receiver<Recorded>) {
    let (recorder, outcomes) = mpsc::channel(8);
    let (events, inbox) = channel(&recorder);
    (events, inbox, outcomes)
}

#[tokio::test]
async fn a_panicked_attempt_is_a_lost_claim_marked_if_the_request_had_begun() {
    let world = World::new(LaneLimits::OTHER).await;
    for has_begun in [false, true] {
        let (hand, _alive, mut outcomes) = in_hand(&world).await;
        let (events, mut inbox, _late) = way();
        let owed = OwedPermit::of_attempt(&events, permit(1));
        panics(move || {
            let (_owed, hand) = (owed, hand);
            if has_begun {
                hand.begins();
            }
            panic!("an attempt");
        })
        .await;
        let recorded = outcomes.recv().await.unwrap();
        assert_eq!(recorded.transition, Transition::Lost { may_have_arrived: has_begun });
        assert_eq!(recorded.attempt.unwrap().outcome, Outcome::Lost);
        assert!(matches!(ended(inbox.recv().await.unwrap()), Ended::Panicked));
    }
}

#[tokio::test]
async fn a_cancelled_attempt_is_released_unless_its_request_had_begun() {
    let world = World::new(LaneLimits::OTHER).await;
    let (hand, _alive, mut outcomes) = in_hand(&world).await;
    drop(hand);
    let after = Duration::ZERO;
    assert_eq!(outcomes.recv().await.unwrap().transition, Transition::Released { after });
    let (hand, _alive, mut outcomes) = in_hand(&world).await;
    hand.begins();
    drop(hand);
    let lost = Transition::Lost { may_have_arrived: true };
    assert_eq!(outcomes.recv().await.unwrap().transition, lost);
}

#[tokio::test]
async fn a_step_that_panics_or_is_cut_off_is_answered() {
    let (events, mut inbox, _late) = way();
    let owed = || {
        Owed::new(&events, Event::ClaimFailed { batch: batch(7), commit: CommitResult::Unknown })
    };
    let panicking = owed();
    panics(move || {
        let _owed = panicking;
        panic!("a step");
    })
    .await;
    drop(owed());
    for _ in 0..2 {
        let Event::ClaimFailed { commit: CommitResult::Unknown, .. } = inbox.recv().await.unwrap()
        else {
            panic!("nobody knows what it did");
        };
    }
    owed().answer(Event::PollFailed);
    assert!(matches!(inbox.take(), Some(Event::PollFailed)));
    assert!(inbox.take().is_none(), "one answer");
}

#[tokio::test]
async fn what_a_scheduler_that_is_gone_would_have_released_is_released() {
    let world = World::new(LaneLimits::OTHER).await;
    let (hand, ..) = in_hand(&world).await;
    let claim = hand.hand_over();
    let unsent = || Ended::Unsent { claim: claim.clone(), why: Unsent::Stopped };
    let (events, inbox, mut outcomes) = way();
    // It goes with the event still waiting, and with another one on its way.
    OwedPermit::of_attempt(&events, permit(1)).end(unsent());
    drop(inbox);
    OwedPermit::of_attempt(&events, permit(2)).end(unsent());
    drop(OwedPermit::of_probe(&events, permit(3)));
    for _ in 0..2 {
        let released = outcomes.recv().await.unwrap();
        assert_eq!(released.transition, Transition::Released { after: Duration::ZERO });
    }
}

/// Claims what is due, and panics with it; its successor does nothing.
struct Panicking {
    scripted: Scripted,
    generation: u64,
    lane: LaneId,
}

impl Decides for Panicking {
    fn on(&mut self, now: Millis, event: Happened, todo: &mut Vec<Todo>) {
        if self.generation == 1 {
            if let Event::Claimed { claims, .. } = &event {
                panic!("with {} claims", claims.len());
            }
            let lanes = vec![LaneShare { lane: self.lane, limit: 9 }];
            todo.push(Command::ClaimDue { batch: batch(1), lanes, suspect: false });
        }
        self.scripted.on(now, event, todo);
    }

    fn next_wakeup(&self) -> Option<Millis> {
        None
    }
}

#[tokio::test]
async fn a_panicked_scheduler_has_its_claims_given_back_and_a_successor() {
    let world = World::new(LaneLimits::OTHER).await;
    let ids = world.accept(3).await;
    world.hands.store.make_due(&ids).await.unwrap();
    let lane = world.lane();
    let (outside, inbox) = mpsc::channel(8);
    let settings = world.hands.context.config.scheduler();
    let lasting = Arc::new(Mutex::new(Lasting::new(world.hands.clone(), settings, inbox)));
    let (heard, mut inform) = mpsc::unbounded_channel();
    let generations = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&generations);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let (supervisor, tracker) = (Supervisor::default(), TaskTracker::new());
    supervisor.spawn(&tracker, "scheduler", move || {
        let (heard, counted) = (heard.clone(), Arc::clone(&counted));
        let make = move |settings: Settings| {
            counted.store(u32::try_from(settings.generation).unwrap(), Ordering::SeqCst);
            let scripted = Scripted { todo: Arc::default(), heard: heard.clone() };
            Panicking { scripted, generation: settings.generation, lane }
        };
        drive(Arc::clone(&lasting), make, stop.clone())
    });
    // Hints that are lost cost nothing; the second one is for the successor.
    let closed = || OutsideEvent::Recorded { claims: Vec::new(), closed: Vec::new() };
    outside.send(OutsideEvent::Woken(Vec::new())).await.unwrap();
    let successor = async {
        while generations.load(Ordering::SeqCst) < 2 {
            sleep(Duration::from_millis(5)).await;
        }
        outside.send(closed()).await.unwrap();
        inform.recv().await.unwrap()
    };
    let event = tokio::time::timeout(Duration::from_secs(20), successor).await.unwrap();
    assert!(matches!(event, Event::Recorded { .. }));
    let terms = world.hands.context.config.terms(world.hands.worker);
    let share = postrider_store::LaneShare { lane, limit: 9 };
    let again = world.hands.store.claim_due(&[share], false, terms).await.unwrap();
    assert_eq!(again.len(), 3, "what it had claimed is due again");
    assert!(again.iter().all(|claim| claim.attempt == 1 && !claim.maybe_sent));
    cancel.cancel();
    drop(outside);
}
