//! Steps that fail, and what nobody knows of.

use std::time::Duration;

use postrider_domain::{LaneId, LimitId};

use super::super::*;
use super::lanes::status;
use super::world::{Target, World};

#[test]
fn a_claim_that_failed_for_certain_is_made_again_and_nothing_is_settled_by_it() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(5));
    world.run(500);
    world.store_away = true;
    let ids = world.message(lane, 30);
    world.run(1_500);
    assert!(world.acked.is_empty() && world.sent.is_empty());
    assert_eq!(world.made_due, 0, "a store that is away makes nothing due");
    world.store_away = false;
    world.run(5_000);
    assert_eq!(world.left(lane), 0);
    assert!(ids.iter().all(|id| world.times_sent(*id) == 1 && world.acked.contains(id)));
    assert!(world.log.is_empty(), "{:?}", world.log);
}

#[test]
fn messages_are_taken_no_more_after_two_seconds_without_the_store() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(5));
    world.run(500);
    world.store_away = true;
    world.message(lane, 5);
    world.run(2_400);
    assert!(world.log.is_empty());
    world.run(3_600);
    assert_eq!(world.log, ["paused"]);
    world.store_away = false;
    world.run(6_000);
    assert_eq!(world.log, ["paused", "resumed"]);
    assert_eq!(world.left(lane), 0);
}

/// Nobody answers, so messages are left to others: a lease that could not be had is no answer.
#[test]
fn a_lease_that_is_not_acquired_is_no_sign_of_life() {
    let mut scheduler: Scheduler<()> = Scheduler::new(Settings::default());
    let mut told = Vec::new();
    let tell = |scheduler: &mut Scheduler<()>, at, event, told: &mut Vec<_>| {
        scheduler.on(Millis(at), event, told);
        scheduler.on(Millis(at), Event::Timeout, told);
    };
    tell(&mut scheduler, 0, Event::Timeout, &mut told);
    tell(&mut scheduler, 1, Event::Renewed { leases: Vec::new() }, &mut told);
    let lane = status(Pacing::Limited { pace: None });
    tell(&mut scheduler, 2, Event::Polled { lanes: vec![lane], next: None }, &mut told);
    let is_acquire = |told: &Command<()>| matches!(told, Command::Acquire { .. });
    assert!(told.iter().any(is_acquire), "{told:?}");
    tell(&mut scheduler, 2_500, Event::Timeout, &mut told);
    let pauses = |told: &Command<()>| matches!(told, Command::PauseConsumer);
    assert!(told.iter().any(pauses), "{told:?}");
    tell(&mut scheduler, 4_500, Event::AcquireFailed { limit: LimitId(1) }, &mut told);
    let resumes = |told: &Command<()>| matches!(told, Command::ResumeConsumer);
    assert!(!told.iter().any(resumes), "{told:?}");
}

#[test]
fn a_claim_of_unknown_fate_is_given_back_and_made_again() {
    for is_message in [true, false] {
        let mut world = World::new(Settings::default());
        let lane = world.unlimited(1, Target::Answers(5));
        let other = world.unlimited(2, Target::Answers(300));
        world.run(500);
        world.message(other, 40);
        world.run(600);
        world.claims_unknown = true;
        if is_message {
            world.message(lane, 30);
        } else {
            world.due(lane, 30);
        }
        world.run(6_000);
        world.claims_unknown = false;
        world.run(9_000);
        assert_eq!((world.left(lane), world.left(other)), (0, 0));
        let ids: Vec<_> = world.sent.iter().map(|(_, _, id)| *id).collect();
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "something was sent twice");
    }
}

#[test]
fn a_leaders_claim_of_unknown_fate_is_given_back_and_made_again() {
    let mut world = World::new(Settings::default());
    let pace = Pace { interval: Duration::from_millis(100), burst: 1 };
    let lane = world.limited(1, pace, 2, Target::Answers(5));
    world.due(lane, 60);
    world.run(2_000);
    world.claims_unknown = true;
    world.run(3_000);
    world.claims_unknown = false;
    world.run(12_000);
    assert_eq!(world.left(lane), 0);
    assert_eq!(world.sent.len(), 60);
}

#[test]
fn a_message_that_comes_twice_is_claimed_once_and_settled_both_times() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(500));
    world.run(500);
    let ids = world.message(lane, 1);
    let again = Event::Received { deliveries: vec![(ids[0], lane)], wake: Vec::new() };
    world.hear(again);
    world.run(520);
    assert_eq!(world.claims, 1);
    world.acked.clear();
    let again = Event::Received { deliveries: vec![(ids[0], lane)], wake: Vec::new() };
    world.hear(again);
    assert!(world.acked.contains(&ids[0]), "claimed, so its message can do nothing more");
    world.run(2_000);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn out_of_descriptors_nothing_fails_and_starts_pause() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(5));
    world.run(500);
    world.no_descriptors = true;
    world.message(lane, 50);
    world.run(4_500);
    let claims = world.claims;
    assert!(claims <= 3, "{claims} claims without a chance");
    world.no_descriptors = false;
    world.run(30_000);
    assert_eq!(world.left(lane), 0);
}

#[test]
fn a_lost_worker_is_another_generation_and_its_permits_count_nowhere() {
    let mut first: Scheduler<()> = Scheduler::new(Settings::default());
    let settings = Settings { generation: 1, ..Settings::default() };
    let mut second: Scheduler<()> = Scheduler::new(settings);
    let lane = first.lane(LaneId(1));
    let permit = first.grant_probe(lane).owed();
    let ended = Ended::Panicked;
    second.on(Millis(0), Event::AttemptEnded { permit, ended }, &mut Vec::new());
    second.audit().unwrap();
}
