//! Limited limits: no window is exceeded, and hardly anything is given away.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::*;
use super::world::{Target, World};

/// Requests, window in milliseconds, and how long to watch.
const RATES: [(u32, u64, u64); 7] = [
    (1, 3_600_000, 5 * 3_600_000),
    (2, 3_600_000, 5 * 3_600_000),
    (10, 60_000, 600_000),
    (5, 1_000, 40_000),
    (75, 60_000, 600_000),
    (180, 6_000, 60_000),
    (1_000, 1_000, 20_000),
];

/// As the domain makes it: `(W + J + τ) / (N − b + 1)`.
fn pace(count: u32, window: u64, burst: u32) -> Pace {
    let jitter = (window / 20).clamp(50, 1_000);
    let whole = Duration::from_millis(window + jitter + 5);
    Pace { interval: whole / (count - burst + 1), burst }
}

fn most_in_a_window(sent: &[u64], window: u64) -> usize {
    let inside = |start: usize| sent[start..].partition_point(|at| *at < sent[start] + window);
    (0..sent.len()).map(inside).max().unwrap_or_default()
}

/// Watches a limit with all the work it can have; what was sent after it started.
fn watch(rate: (u32, u64, u64), concurrency: u32, took: u64, burst: u32) -> (World, Vec<u64>) {
    let (count, window, watched) = rate;
    let mut world = World::new(Settings::default());
    world.audits = watched < 1_000_000;
    let pace = pace(count, window, burst);
    let lane = world.limited(1, pace, concurrency, Target::Answers(took));
    let work = watched / window * u64::from(count) + u64::from(count) * 2;
    world.due(lane, usize::try_from(work.min(30_000)).unwrap());
    let start = u64::try_from(pace.interval.as_millis()).unwrap() + 3_000;
    world.run(start + watched);
    let sent = world.sent_by(lane);
    (world, sent)
}

#[test]
fn every_rate_is_used_to_95_percent_and_no_window_exceeded() {
    for (count, window, watched) in RATES {
        for concurrency in [1, 8, 64] {
            let took = 20;
            let (world, sent) = watch((count, window, watched), concurrency, took, 1);
            let most = most_in_a_window(&sent, window);
            assert!(most <= count as usize, "{count}/{window} ms: {most} in a window");
            assert!(world.most_under_way <= concurrency);
            let from = sent.len() - sent.iter().filter(|at| **at + watched > world.now).count();
            let interval = pace(count, window, 1).interval.as_secs_f64() * 1_000.0;
            let by_answers = f64::from(concurrency) / 20.0;
            let possible =
                (1.0 / interval).min(by_answers) * f64::from(u32::try_from(watched).unwrap());
            let used = f64::from(u32::try_from(sent.len() - from).unwrap());
            assert!(
                used >= (possible * 0.95).floor(),
                "{count}/{window} ms, {concurrency} at once: {used} of {possible}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        // The same each time; other seeds are for longer runs.
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    /// Whatever rate, burst, concurrency and target.
    #[test]
    fn no_window_is_exceeded(
        rate in 0_usize..7, concurrency in 1_u32..=64, took in 0_u64..3_000, burst in 1_u32..4,
    ) {
        let (count, window, watched) = RATES[rate];
        let burst = burst.min(count);
        let (_, sent) = watch((count, window, watched / 4 + window), concurrency, took, burst);
        prop_assert!(most_in_a_window(&sent, window) <= count as usize);
    }
}

#[test]
fn the_first_request_waits_for_what_another_leader_may_have_sent() {
    let mut world = World::new(Settings::default());
    let pace = pace(10, 60_000, 1);
    let lane = world.limited(1, pace, 1, Target::Answers(5));
    world.due(lane, 5);
    world.run(6_000);
    assert!(world.sent.is_empty(), "an interval after it found the limit clean");
    world.run(6_200);
    assert_eq!(world.sent.len(), 1);

    // Its slots are over for long: the claims' margin is less than an hour.
    let mut world = World::new(Settings::default());
    let lane = world.limited(1, super::limits::pace(1, 3_600_000, 1), 1, Target::Answers(5));
    world.due(lane, 5);
    world.run(6_500);
    assert_eq!(world.sent.len(), 1, "not after an hour");
}

#[test]
fn wait_for_the_slots_of_another_leader() {
    let mut world = World::new(Settings::default());
    let lane = world.limited(1, pace(1, 3_600_000, 1), 1, Target::Answers(5));
    let limit = world.lanes[&lane].limit;
    world.limits.get_mut(&limit).unwrap().next_send_at = 1_000_000;
    world.due(lane, 5);
    world.run(1_005_900);
    assert!(world.sent.is_empty());
    world.run(1_006_500);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_full_hour_is_slept_through_and_not_asked_about() {
    let mut world = World::new(Settings::default());
    let terms = Terms { concurrency: 4, pacing: Pacing::Limited { pace: None } };
    let lane = world.add(1, terms, Target::Answers(5));
    let limit = world.lanes[&lane].limit;
    let state = world.limits.get_mut(&limit).unwrap();
    state.budget = Some(10);
    state.frees_at = 50_000;
    world.due(lane, 15);
    world.run(45_000);
    assert_eq!(world.sent.len(), 10);
    assert!(world.claims < 15, "{} claims", world.claims);
    world.limits.get_mut(&limit).unwrap().budget = Some(10);
    world.run(49_000);
    assert_eq!(world.sent.len(), 10, "it said when");
    world.run(51_000);
    assert_eq!(world.left(lane), 0);
}

#[test]
fn a_slow_target_has_nothing_claimed_that_can_not_be_sent_in_time() {
    let mut world = World::new(Settings::default());
    let lane = world.limited(1, pace(5, 1_000, 1), 1, Target::Answers(9_000));
    world.due(lane, 20);
    world.run(100_000);
    let sent = world.sent_by(lane);
    assert!(sent.len() >= 10, "{sent:?}");
    assert!(world.claims < 45, "{} claims for {} requests", world.claims, sent.len());
}

#[test]
fn lanes_of_one_limit_share_its_pace() {
    let mut world = World::new(Settings::default());
    let first = world.limited(1, pace(5, 1_000, 1), 1, Target::Answers(5));
    let second = world.limited(2, pace(5, 1_000, 1), 1, Target::Answers(5));
    let shared = world.lanes[&first].limit;
    world.lanes.get_mut(&second).unwrap().limit = shared;
    world.due(first, 20);
    world.due(second, 20);
    world.run(20_000);
    assert_eq!((world.left(first), world.left(second)), (0, 0));
    let all: Vec<u64> = world.sent.iter().map(|(at, _, _)| *at).collect();
    assert!(most_in_a_window(&all, 1_000) <= 5);
}

#[test]
fn a_held_lane_of_a_limit_does_not_hold_the_others_up() {
    let mut world = World::new(Settings::default());
    let first = world.limited(1, pace(5, 1_000, 1), 1, Target::Rejects);
    let second = world.limited(2, pace(5, 1_000, 1), 1, Target::Answers(5));
    let shared = world.lanes[&first].limit;
    world.lanes.get_mut(&second).unwrap().limit = shared;
    world.due(first, 20);
    world.due(second, 20);
    world.run(15_000);
    assert_eq!((world.left(first), world.left(second)), (20, 0));
    assert!(world.sent_by(first).len() <= 2, "{:?}", world.sent_by(first));
}

#[test]
fn a_held_lane_is_not_asked_for_at_the_speed_of_the_store() {
    let mut world = World::new(Settings::default());
    let lane = world.limited(1, pace(5, 1_000, 1), 8, Target::Answers(5));
    world.lanes.get_mut(&lane).unwrap().held = true;
    world.due(lane, 20);
    world.run(20_000);
    assert!(world.claims <= 2, "{} claims", world.claims);
    world.lanes.get_mut(&lane).unwrap().held = false;
    world.run(30_000);
    assert_eq!(world.left(lane), 0);
}

#[test]
fn a_lane_that_was_held_is_claimed_once_a_poll_finds_it_open() {
    let mut world = World::new(Settings::default());
    let lane = world.limited(1, pace(200, 1_000, 1), 1, Target::Answers(5));
    world.run(2_000);
    world.lanes.get_mut(&lane).unwrap().held = true;
    world.run(4_500);
    let ids = world.due(lane, 20);
    let before = world.claims;
    // Woken between two polls, as by the secret that opened it.
    world.lanes.get_mut(&lane).unwrap().held = false;
    world.hear(Event::Woken(vec![lane]));
    world.run(20_000);
    assert!(world.claims - before <= 20, "{} claims for 20", world.claims - before);
    let order: Vec<_> = world.sent.iter().map(|(_, _, id)| *id).collect();
    assert_eq!(order, ids, "oldest first");
}

/// What its target refused is not committed yet: the store would give the lane's deliveries for as
/// long as that takes.
#[test]
fn a_lane_that_was_refused_is_not_claimed_while_that_is_being_recorded() {
    let mut world = World::new(Settings::default());
    world.records_in = 400;
    let refused = world.limited(1, pace(200, 1_000, 1), 8, Target::Rejects);
    let other = world.limited(2, pace(200, 1_000, 1), 8, Target::Answers(5));
    let shared = world.lanes[&refused].limit;
    world.lanes.get_mut(&other).unwrap().limit = shared;
    world.due(refused, 1_000);
    world.due(other, 100);
    while world.sent.is_empty() {
        world.run(world.now + 1);
        assert!(world.now < 10_000, "nothing is sent");
    }
    let before = world.claims;
    world.run(world.now + 350);
    assert!(!world.lanes[&refused].held, "it is not recorded yet");
    let more = world.claims - before;
    assert!(more <= 2, "{more} claims were given back");
    world.run(world.now + 3_000);
    assert_eq!((world.left(refused), world.left(other)), (1_000, 0));
    assert!(world.sent_by(refused).len() <= 8, "{:?}", world.sent_by(refused));
}

#[test]
fn a_lost_lease_gives_back_what_was_not_sent() {
    let mut world = World::new(Settings::default());
    let lane = world.limited(1, pace(5, 1_000, 1), 1, Target::Answers(5));
    let limit = world.lanes[&lane].limit;
    world.due(lane, 50);
    world.run(5_000);
    let sent = world.sent.len();
    assert!(sent > 5);
    // Somebody else has it, for ten seconds.
    let state = world.limits.get_mut(&limit).unwrap();
    state.epoch += 1;
    state.leased_until = 15_000;
    world.run(6_100);
    let after = world.sent.len();
    assert!(after <= sent + 6, "{after}");
    world.run(14_000);
    assert_eq!(world.sent.len(), after);
    world.run(40_000);
    assert_eq!(world.left(lane), 0);
    assert!(most_in_a_window(&world.sent_by(lane), 1_000) <= 5);
}

#[test]
fn a_probe_of_a_limited_lane_is_its_leaders_and_uses_a_token() {
    let mut world = World::new(Settings::default());
    let lane = world.limited(1, pace(5, 1_000, 1), 1, Target::Rejects);
    world.due(lane, 3);
    world.run(3_000);
    let state = world.lanes.get_mut(&lane).unwrap();
    state.probe_due = true;
    state.target = Target::Answers(5);
    world.run(10_000);
    assert_eq!(world.left(lane), 0);
    let mut all = world.sent_by(lane);
    all.extend(&world.probes);
    all.sort_unstable();
    assert_eq!(world.probes.len(), 1);
    assert!(most_in_a_window(&all, 1_000) <= 5);
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= 200), "{all:?}");
}

/// What it claims is not to run out while it waits for its turn.
#[test]
fn a_probe_is_begun_when_its_turn_is_near() {
    let mut world = World::new(Settings::default());
    let lane = world.limited(1, pace(10, 60_000, 1), 1, Target::Answers(5));
    world.due(lane, 200);
    for probe_at in [30_000, 61_000, 95_000, 130_500, 161_000] {
        world.run(probe_at);
        world.lanes.get_mut(&lane).unwrap().probe_at = Some(probe_at);
    }
    world.run(200_000);
    assert_eq!((world.probes.len(), world.probes_begun.len()), (5, 5));
    let waits: Vec<u64> =
        world.probes.iter().zip(&world.probes_begun).map(|(left, begun)| left - begun).collect();
    assert!(waits.iter().all(|wait| *wait <= 3_000), "{waits:?}");
    let mut all = world.sent_by(lane);
    all.extend(&world.probes);
    all.sort_unstable();
    assert!(most_in_a_window(&all, 60_000) <= 10, "{all:?}");
}
