//! Who hangs does not starve who answers.

use std::time::Duration;

use postrider_domain::LaneId;

use super::super::*;
use super::world::{Target, World};

/// How long each delivery of the lane waited for its request, if they came at these instants.
fn waits(world: &World, came: &[(u64, postrider_domain::DeliveryId)]) -> Vec<u64> {
    let mut waits: Vec<u64> = came
        .iter()
        .map(|(at, id)| {
            let sent = world.sent.iter().find(|(_, _, sent)| sent == id);
            sent.unwrap_or_else(|| panic!("{id} of {at} was not sent")).0 - at
        })
        .collect();
    waits.sort_unstable();
    waits
}

fn p99(waits: &[u64]) -> u64 {
    waits[waits.len() * 99 / 100]
}

#[test]
fn five_hundred_hanging_targets_and_a_healthy_lane_that_answered_before() {
    let mut world = World::new(Settings::default());
    let healthy = world.unlimited(1, Target::Answers(5));
    let hanging: Vec<LaneId> =
        (2..=501).map(|number| world.unlimited(number, Target::Hangs)).collect();
    world.audits = false;
    world.run(50);
    world.message(healthy, 20);
    world.run(500);
    let mut came = Vec::new();
    for round in 0..300 {
        for lane in hanging.iter().filter(|lane| lane.0 % 10 == round % 10) {
            world.message(*lane, 2);
        }
        for id in world.message(healthy, 3) {
            came.push((world.now, id));
        }
        world.run(500 + (u64::try_from(round).unwrap() + 1) * 100);
    }
    world.run(world.now + 2_000);
    let waits = waits(&world, &came);
    assert!(p99(&waits) < 100, "p99 {} of {:?}", p99(&waits), waits.last());
    world.scheduler.audit().unwrap();
}

#[test]
fn a_healthy_lane_that_is_new_waits_two_seconds_at_most() {
    let mut world = World::new(Settings::default());
    let hanging: Vec<LaneId> =
        (2..=501).map(|number| world.unlimited(number, Target::Hangs)).collect();
    let healthy = world.unlimited(1_000, Target::Answers(5));
    world.run(50);
    for lane in &hanging {
        world.message(*lane, 5);
    }
    world.run(60);
    let came: Vec<_> = world.message(healthy, 1).into_iter().map(|id| (60, id)).collect();
    world.run(5_000);
    let waits = waits(&world, &came);
    assert!(waits[0] <= 2_100, "{waits:?}");
}

#[test]
fn one_host_takes_half_at_most() {
    let mut world = World::new(Settings::default());
    for number in 1..=40 {
        let lane = world.unlimited(number, Target::Answers(5));
        world.lanes.get_mut(&lane).unwrap().host = "same".to_owned();
    }
    let other = world.unlimited(41, Target::Answers(5));
    world.run(50);
    for number in 1..=40 {
        world.message(LaneId(number), 100);
    }
    world.message(other, 100);
    world.run(3_000);
    for lane in world.lanes.values_mut().filter(|lane| lane.host == "same") {
        lane.target = Target::Hangs;
    }
    for number in 1..=40 {
        world.message(LaneId(number), 100);
    }
    world.run(4_000);
    let hanging: u32 = world.under_way.values().sum();
    assert!((500..=512).contains(&hanging), "{hanging}");
    let came: Vec<_> = world.message(other, 50).into_iter().map(|id| (4_000, id)).collect();
    world.run(5_000);
    assert!(p99(&waits(&world, &came)) < 100);
}

#[test]
fn hanging_targets_do_not_touch_limited_lanes() {
    let mut world = World::new(Settings::default());
    let hanging: Vec<LaneId> =
        (2..=301).map(|number| world.unlimited(number, Target::Hangs)).collect();
    let pace = Pace { interval: Duration::from_millis(211), burst: 1 };
    let limited = world.limited(1_000, pace, 1, Target::Answers(5));
    world.run(50);
    for lane in &hanging {
        world.message(*lane, 5);
    }
    world.due(limited, 300);
    world.run(41_000);
    let sent = world.sent_by(limited).len();
    assert!(sent >= 180, "{sent} of 189 in 40 s");
}

#[test]
fn a_refused_connection_changes_neither_class_nor_window() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(5));
    world.run(50);
    world.message(lane, 200);
    world.run(1_000);
    world.lanes.get_mut(&lane).unwrap().target = Target::Refuses;
    world.message(lane, 200);
    let before = world.sent.len();
    world.run(1_200);
    assert!(world.sent.len() >= before + 150, "{}", world.sent.len() - before);
}

#[test]
fn retries_are_made_beside_fresh_ones() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(10));
    world.run(50);
    world.message(lane, 500);
    world.run(1_000);
    let due = world.due(lane, 500);
    for round in 0..40 {
        world.message(lane, 500);
        world.run(1_000 + (round + 1) * 50);
    }
    let sent = due.iter().filter(|id| world.times_sent(**id) > 0).count();
    assert!(sent > 250, "{sent} of 500 while the lane was busy with fresh ones");
    world.run(20_000);
    assert_eq!(world.left(lane), 0);
}
