//! The driver under a scripted scheduler, over a real store and a real target: each command
//! becomes its step, each end its event.

mod ends;
mod outside;
mod world;

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{DeliveryStatus, LaneId, LaneLimits, Rate};
use postrider_github_double::Play;

use super::*;
use crate::attempt::HeldClaim;
use postrider_scheduler::{
    Batch, Command, CommitResult, Ended, LaneShare, LimitRefusal, Millis, Permit, Scope, SendWhen,
    Unsent, Verdict, Which,
};
use world::{Script, World};

const LIMITED: LaneLimits = LaneLimits {
    rate: Rate::Limited { count: 75, per: Duration::from_mins(1) },
    burst: 1,
    concurrency: 1,
    per_hour: Some(2),
};

fn batch(number: u64) -> Batch {
    Batch::of_test(number)
}

fn permit(ticket: u64) -> Permit {
    Permit::of_test(ticket, Millis(u64::MAX))
}

fn claims(event: Happened) -> Vec<Arc<HeldClaim>> {
    match event {
        Event::Claimed { claims, .. } => claims.into_iter().map(|claim| claim.payload).collect(),
        other => panic!("{other:?}"),
    }
}

fn ended(event: Happened) -> Ended<Arc<HeldClaim>> {
    match event {
        Event::AttemptEnded { permit, ended } => {
            permit.forfeit();
            ended
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_message_brought_is_claimed_attempted_recorded() {
    let world = World::new(LaneLimits::OTHER).await;
    let ids = world.accept(2).await;
    let mut script = Script::of(&world);
    script.asks(Command::ClaimFresh { batch: batch(1), ids: ids.clone() }).await;
    let got = claims(script.hears().await);
    assert_eq!(got.len(), 2);
    assert_eq!(world.hands.live.in_hand(), [], "nobody works them yet");
    script
        .asks(Command::Start { claim: got[0].clone(), permit: permit(1), send: SendWhen::Ready })
        .await;
    let Ended::Answered { verdict: Verdict::Continue, .. } = ended(script.hears().await) else {
        panic!("the target answers");
    };
    world.recorded(got[0].claim.id, DeliveryStatus::Delivered).await;
    let later = Duration::from_secs(30);
    script.asks(Command::Release { claim: got[1].clone(), due_in: later }).await;
    world.recorded(got[1].claim.id, DeliveryStatus::Queued).await;
    script.stop().await;
}

#[tokio::test]
async fn a_told_request_leaves_when_it_is_told_or_not_at_all() {
    let world = World::new(LaneLimits::OTHER).await;
    let ids = world.accept(2).await;
    let mut script = Script::of(&world);
    script.asks(Command::ClaimFresh { batch: batch(1), ids }).await;
    let got = claims(script.hears().await);
    for (claim, number) in got.iter().zip(1..) {
        let start =
            Command::Start { claim: claim.clone(), permit: permit(number), send: SendWhen::Told };
        script.asks(start).await;
        let Event::Prepared { claim: None, .. } = script.hears().await else {
            panic!("it says that it is ready");
        };
    }
    assert_eq!(world.double.counts().requests, 0, "nothing was told yet");
    script.asks(Command::Withdraw(permit_ticket(2))).await;
    let Ended::Unsent { why: Unsent::Stopped, .. } = ended(script.hears().await) else {
        panic!("it was withdrawn");
    };
    script.asks(Command::Send(permit_ticket(1))).await;
    assert!(matches!(ended(script.hears().await), Ended::Answered { .. }));
    assert_eq!(world.double.counts().requests, 1);
    script.stop().await;
}

/// Its permit is one of the lane that was left; the other's limit knows nothing of it.
#[tokio::test]
async fn what_was_claimed_in_a_lane_that_its_webhook_left_is_given_back() {
    let world = World::new(LaneLimits::OTHER).await;
    let ids = world.accept(1).await;
    let mut script = Script::of(&world);
    script.asks(Command::ClaimFresh { batch: batch(1), ids }).await;
    let claim = claims(script.hears().await).remove(0);
    world.moves().await;
    script.asks(Command::Start { claim, permit: permit(1), send: SendWhen::Ready }).await;
    let Ended::Unsent { why: Unsent::Stopped, .. } = ended(script.hears().await) else {
        panic!("it is not sent");
    };
    assert_eq!(world.double.counts().requests, 0);
    script.stop().await;
}

fn permit_ticket(number: u64) -> Ticket {
    let permit = permit(number);
    let ticket = permit.ticket();
    permit.forfeit();
    ticket
}

#[tokio::test]
async fn a_request_that_is_too_late_does_not_leave() {
    let world = World::new(LaneLimits::OTHER).await;
    let ids = world.accept(1).await;
    let mut script = Script::of(&world);
    script.asks(Command::ClaimFresh { batch: batch(1), ids }).await;
    let claim = claims(script.hears().await).remove(0);
    sleep(Duration::from_millis(5)).await;
    let late = Permit::of_test(1, Millis(0));
    script.asks(Command::Start { claim, permit: late, send: SendWhen::Ready }).await;
    assert!(matches!(ended(script.hears().await), Ended::Unsent { why: Unsent::Stopped, .. }));
    assert_eq!(world.double.counts().requests, 0);
    script.stop().await;
}

#[tokio::test]
async fn each_end_of_an_attempt_is_told() {
    let world = World::new(LaneLimits::OTHER).await;
    world
        .double
        .script("one", vec![Play::status(500), Play::status(429), Play::status(401)])
        .unwrap();
    let ids = world.accept(3).await;
    let mut script = Script::of(&world);
    script.asks(Command::ClaimFresh { batch: batch(1), ids }).await;
    for (claim, number) in claims(script.hears().await).into_iter().zip(1..) {
        let permit = permit(number);
        script.asks(Command::Start { claim, permit, send: SendWhen::Ready }).await;
        let Ended::Answered { verdict, .. } = ended(script.hears().await) else {
            panic!("the target answers");
        };
        match number {
            1 => assert!(matches!(verdict, Verdict::Retry { .. })),
            2 => assert_eq!(verdict, Verdict::Limited),
            _ => assert_eq!(verdict, Verdict::CredentialRejected),
        }
    }
    script.stop().await;
}

#[tokio::test]
async fn a_refused_connection_is_no_request() {
    let mut world = World::new(LaneLimits::OTHER).await;
    world.double_ends().await;
    let ids = world.accept(1).await;
    let mut script = Script::of(&world);
    script.asks(Command::ClaimFresh { batch: batch(1), ids }).await;
    let claim = claims(script.hears().await).remove(0);
    script.asks(Command::Start { claim, permit: permit(1), send: SendWhen::Ready }).await;
    assert!(matches!(ended(script.hears().await), Ended::NotRequested { .. }));
    script.stop().await;
}

#[tokio::test]
async fn lanes_are_polled_and_due_ones_claimed_and_given_back() {
    let world = World::new(LaneLimits::OTHER).await;
    let ids = world.accept(3).await;
    let mut script = Script::of(&world);
    script.asks(Command::Poll(Which::Page { after: None })).await;
    let Event::Polled { lanes, next: None } = script.hears().await else { panic!("a page") };
    assert_eq!(lanes.len(), 1);
    let lane = lanes[0].lane;
    assert_eq!(&*lanes[0].host, world.host());
    script.asks(Command::MakeDue { batch: batch(1), ids }).await;
    assert!(matches!(script.hears().await, Event::MadeDue { .. }));
    let share = LaneShare { lane, limit: 2 };
    script.asks(Command::ClaimDue { batch: batch(2), lanes: vec![share], suspect: false }).await;
    assert_eq!(claims(script.hears().await).len(), 2);
    let unclaim =
        || Command::Unclaim { batch: batch(3), scope: Scope::Due(vec![lane]), live: Vec::new() };
    script.asks(unclaim()).await;
    let Event::UnclaimFailed { .. } = script.hears().await else { panic!("it never beat") };
    script.asks(unclaim()).await;
    let Event::Unclaimed { .. } = script.hears().await else { panic!("it has beaten now") };
    let share = LaneShare { lane, limit: 9 };
    script.asks(Command::ClaimDue { batch: batch(4), lanes: vec![share], suspect: false }).await;
    assert_eq!(claims(script.hears().await).len(), 3, "those that were given back as well");
    script.stop().await;
}

#[tokio::test]
async fn a_limit_is_led_claimed_from_and_given_up() {
    let world = World::new(LIMITED).await;
    world.accept(3).await;
    let mut script = Script::of(&world);
    script.asks(Command::Renew { leases: Vec::new() }).await;
    assert!(matches!(script.hears().await, Event::Renewed { .. }));
    let limit = world.limit().await;
    script.asks(Command::Acquire { limit }).await;
    let Event::Acquired { lease: Some(lease), .. } = script.hears().await else {
        panic!("nobody leads it")
    };
    script.asks(Command::Acquire { limit }).await;
    assert!(matches!(script.hears().await, Event::Acquired { lease: None, .. }));
    script.asks(Command::Renew { leases: vec![lease] }).await;
    let Event::Renewed { leases } = script.hears().await else { panic!("it is ours") };
    assert_eq!(leases, [lease]);
    let ask = |number| Command::ClaimLimited {
        batch: batch(number),
        lease,
        count: 5,
        interval: Duration::from_millis(800),
        suspect: false,
    };
    script.asks(ask(1)).await;
    assert_eq!(claims(script.hears().await).len(), 2, "what the hour leaves");
    script.asks(ask(2)).await;
    assert!(matches!(
        script.hears().await,
        Event::LimitRefused { why: LimitRefusal::HourFull { .. }, .. }
    ));
    script.asks(Command::GiveUp { leases: vec![lease] }).await;
    world.until_free().await;
    script.asks(ask(3)).await;
    assert!(matches!(
        script.hears().await,
        Event::LimitRefused { why: LimitRefusal::NotPermitted, .. }
    ));
    script.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_fails_each_step() {
    let world = World::new(LIMITED).await;
    let ids = world.accept(1).await;
    let limit = world.limit().await;
    let mut script = Script::of(&world);
    world.hands.store.close().await;
    let lease = postrider_scheduler::Lease { limit, epoch: 1 };
    let scope = Scope::Fresh(ids.clone());
    let lanes = vec![LaneShare { lane: LaneId(1), limit: 1 }];
    script.asks(Command::Renew { leases: Vec::new() }).await;
    assert!(matches!(script.hears().await, Event::RenewFailed));
    script.asks(Command::Acquire { limit }).await;
    assert!(matches!(script.hears().await, Event::AcquireFailed { .. }));
    script.asks(Command::Poll(Which::Those(Vec::new()))).await;
    assert!(matches!(script.hears().await, Event::PollFailed));
    script.asks(Command::Unclaim { batch: batch(1), scope, live: Vec::new() }).await;
    assert!(matches!(script.hears().await, Event::UnclaimFailed { .. }));
    script.asks(Command::MakeDue { batch: batch(2), ids: ids.clone() }).await;
    assert!(matches!(script.hears().await, Event::MakeDueFailed { .. }));
    let interval = Duration::ZERO;
    for claim in [
        Command::ClaimFresh { batch: batch(3), ids },
        Command::ClaimDue { batch: batch(3), lanes, suspect: false },
        Command::ClaimLimited { batch: batch(3), lease, count: 1, interval, suspect: false },
    ] {
        script.asks(claim).await;
        let Event::ClaimFailed { commit, .. } = script.hears().await else { panic!("it failed") };
        assert_eq!(commit, CommitResult::Nothing);
    }
    script.stop().await;
}
