//! The end.

use std::time::Duration;

use super::super::*;
use super::world::{Target, World};

#[test]
fn a_stop_waits_for_what_was_sent_and_for_nothing_else() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(3_000));
    let pace = Pace { interval: Duration::from_mins(1), burst: 1 };
    let limited = world.limited(2, pace, 1, Target::Answers(5));
    world.due(limited, 10);
    world.run(500);
    world.message(lane, 1);
    world.run(600);
    world.message(lane, 10);
    world.hear(Event::Stop);
    world.run(3_000);
    assert_eq!(world.sent.len(), 1);
    assert!(!world.log.contains(&"stopped"));
    world.run(3_600);
    assert_eq!(world.log, ["given up", "stopped"]);
    assert_eq!(world.sent.len(), 1, "nothing more was sent");
    assert_eq!(world.scheduler.next_wakeup(), None);
}

#[test]
fn a_stop_without_anything_sent_is_over_at_once() {
    let mut world = World::new(Settings::default());
    let pace = Pace { interval: Duration::from_secs(2), burst: 1 };
    let lane = world.limited(1, pace, 1, Target::Answers(5));
    world.due(lane, 10);
    world.run(1_700);
    assert!(world.sent.is_empty());
    world.hear(Event::Stop);
    world.run(1_710);
    assert_eq!(world.log, ["given up", "stopped"]);
}

#[test]
fn a_stop_lasts_as_long_as_the_longest_time_out_and_five_seconds_at_most() {
    let settings = Settings { grace: Duration::from_secs(10), ..Settings::default() };
    let mut world = World::new(settings);
    world.timeout = 30_000;
    let lane = world.unlimited(1, Target::Hangs);
    world.run(500);
    world.message(lane, 1);
    world.run(1_000);
    world.timeout = 1_000_000;
    let lane = world.unlimited(2, Target::Hangs);
    world.run(1_100);
    world.message(lane, 0);
    world.hear(Event::Stop);
    world.run(30_000);
    assert!(world.log.is_empty());
    world.run(31_100);
    assert_eq!(world.log, ["stopped"]);
}

#[test]
fn what_is_claimed_too_late_for_a_stop_is_released() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(5));
    let slow = world.unlimited(2, Target::Answers(200));
    world.run(500);
    world.message(slow, 1);
    world.run(550);
    world.rtt = 100;
    world.message(lane, 1);
    world.run(560);
    world.hear(Event::Stop);
    world.run(2_000);
    assert!(world.sent_by(lane).is_empty());
    assert_eq!(world.left(lane), 1);
    assert_eq!(world.log, ["stopped"]);
}
