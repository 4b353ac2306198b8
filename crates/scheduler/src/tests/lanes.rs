//! Classes, windows, holds, pauses.

use std::time::Duration;

use postrider_domain::{LaneId, LimitId};

use super::super::*;
use super::world::{Target, World};

fn world() -> World {
    World::new(Settings::default())
}

/// A lane of its own limit that has work.
pub(super) fn status(pacing: Pacing) -> LaneStatus {
    let limit = LimitStatus {
        id: LimitId(1),
        terms: Terms { concurrency: 1, pacing },
        leased: false,
        paused_for: None,
        clean: None,
        next_send_in: Duration::ZERO,
    };
    LaneStatus {
        lane: LaneId(1),
        host: "host".into(),
        hold: Hold::Open,
        due: false,
        open: true,
        probe_in: None,
        limit,
    }
}

#[test]
fn the_heartbeat_comes_before_the_first_claim() {
    let mut scheduler: Scheduler<()> = Scheduler::new(Settings::default());
    let mut commands = Vec::new();
    let id = postrider_domain::DeliveryId(uuid::Uuid::nil());
    let deliveries = vec![(id, LaneId(1))];
    scheduler.on(Millis(0), Event::Received { deliveries, wake: Vec::new() }, &mut commands);
    assert_eq!(scheduler.next_wakeup(), Some(Millis(0)));
    scheduler.on(Millis(0), Event::Timeout, &mut commands);
    assert!(matches!(commands.as_slice(), [Command::Renew { leases }] if leases.is_empty()));
    commands.clear();
    scheduler.on(Millis(3), Event::Renewed { leases: Vec::new() }, &mut commands);
    scheduler.on(Millis(3), Event::Timeout, &mut commands);
    let is_claim = |command: &Command<()>| matches!(command, Command::ClaimFresh { .. });
    assert!(!commands.iter().any(is_claim), "whose concurrency it shares is not known");
    assert!(commands.iter().any(|command| matches!(command, Command::Poll(_))));
    let lane = status(Pacing::Unlimited);
    scheduler.on(Millis(5), Event::Polled { lanes: vec![lane], next: None }, &mut commands);
    scheduler.on(Millis(5), Event::Timeout, &mut commands);
    assert!(commands.iter().any(is_claim));
}

#[test]
fn messages_are_settled_when_their_claim_is_committed_and_not_before() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Hangs);
    world.run(100);
    let ids = world.message(lane, 1);
    assert!(world.acked.is_empty());
    world.run(110);
    assert!(ids.iter().all(|id| world.acked.contains(id)), "its target hangs, its message is done");
}

#[test]
fn a_window_grows_with_answers_and_everything_is_delivered() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Answers(20));
    world.run(50);
    world.message(lane, 2_000);
    world.run(10_000);
    assert_eq!(world.left(lane), 0);
    assert!(world.most_under_way <= 64, "{}", world.most_under_way);
    assert!(world.most_under_way >= 60, "{}", world.most_under_way);
    let last = world.sent.last().unwrap().0;
    assert!(last < 1_500, "2,000 at 64 at once and 20 ms take 625 ms: {last}");
}

#[test]
fn what_lies_due_in_the_store_is_claimed_in_large_batches() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Answers(10));
    world.due(lane, 3_000);
    world.run(10_000);
    assert_eq!(world.left(lane), 0);
    assert!(world.claims < 250, "{} claims", world.claims);
}

#[test]
fn many_lanes_share_claims() {
    let mut world = world();
    let lanes: Vec<LaneId> =
        (1..=500).map(|number| world.unlimited(number, Target::Answers(5))).collect();
    world.run(50);
    for lane in &lanes {
        world.message(*lane, 4);
    }
    world.run(5_000);
    assert!(lanes.iter().all(|lane| world.left(*lane) == 0));
    assert!(world.claims < 150, "{} claims for 2,000 of 500 lanes", world.claims);
}

#[test]
fn a_refused_credential_stops_the_lane_until_a_probe_opens_it() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Rejects);
    world.run(50);
    world.message(lane, 10);
    world.run(1_000);
    let refused = world.sent.len();
    assert!(refused <= 2, "{refused} refusals were enough");
    world.run(3_000);
    assert_eq!(world.sent.len(), refused);
    let state = world.lanes.get_mut(&lane).unwrap();
    state.target = Target::Answers(5);
    state.probe_due = true;
    world.run(10_000);
    assert_eq!(world.probes.len(), 1);
    assert_eq!(world.left(lane), 0);
}

#[test]
fn a_limit_that_is_met_pauses_all_its_lanes_and_no_longer() {
    let mut world = world();
    let first = world.unlimited(1, Target::Limits(4_000));
    let second = world.unlimited(2, Target::Answers(5));
    let shared = world.lanes[&first].limit;
    world.lanes.get_mut(&second).unwrap().limit = shared;
    world.run(50);
    world.message(first, 1);
    world.run(100);
    world.lanes.get_mut(&first).unwrap().target = Target::Answers(5);
    world.message(second, 3);
    world.run(3_900);
    assert!(world.sent_by(second).is_empty());
    world.run(5_500);
    assert_eq!((world.left(first), world.left(second)), (0, 0));
    assert!(world.sent_by(second)[0] >= 4_050);
    assert!(world.sent_by(second)[0] < 4_200, "{:?}", world.sent_by(second));
}

#[test]
fn waiting_deliveries_of_a_held_lane_are_left_to_the_store_and_their_messages_settled() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Answers(5));
    world.lanes.get_mut(&lane).unwrap().held = true;
    world.run(50);
    let ids = world.message(lane, 700);
    world.run(200);
    assert_eq!(world.made_due, 700);
    assert!(ids.iter().all(|id| world.acked.contains(id)));
    world.lanes.get_mut(&lane).unwrap().held = false;
    world.run(5_000);
    assert_eq!(world.left(lane), 0);
}

#[test]
fn a_lane_that_hangs_leaves_its_messages_to_the_store() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Hangs);
    world.run(50);
    let ids = world.message(lane, 50);
    world.run(400);
    assert_eq!(world.sent.len(), 1);
    assert!(ids.iter().all(|id| world.acked.contains(id)));
}

#[test]
fn a_retry_is_made_in_its_time() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Fails(5, 2_300));
    world.run(500);
    world.message(lane, 1);
    world.run(2_000);
    world.lanes.get_mut(&lane).unwrap().target = Target::Answers(5);
    world.run(6_000);
    let sent = world.sent_by(lane);
    assert_eq!(sent.len(), 2);
    let over = sent[1] - sent[0] - 2_305;
    assert!(over < 50, "{over} ms late");
}

#[test]
fn a_retry_far_ahead_is_found_by_polls() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Fails(5, 100_000));
    world.run(500);
    world.message(lane, 1);
    world.run(2_000);
    world.lanes.get_mut(&lane).unwrap().target = Target::Answers(5);
    world.run(110_000);
    assert_eq!(world.left(lane), 0);
}

#[test]
fn a_lane_with_concurrency_one_has_one_under_way() {
    let mut world = world();
    let terms = Terms { concurrency: 1, pacing: Pacing::Unlimited };
    let lane = world.add(1, terms, Target::Answers(10));
    world.run(50);
    world.message(lane, 100);
    world.run(10_000);
    assert_eq!((world.left(lane), world.most_under_way), (0, 1));
}

#[test]
fn lanes_of_one_limit_share_its_concurrency() {
    let mut world = world();
    let lanes: Vec<LaneId> =
        (1..=20).map(|number| world.unlimited(number, Target::Answers(10))).collect();
    let shared = world.lanes[&lanes[0]].limit;
    world.limits.get_mut(&shared).unwrap().terms.concurrency = 8;
    for lane in &lanes {
        world.lanes.get_mut(lane).unwrap().limit = shared;
    }
    world.run(50);
    for lane in &lanes {
        world.message(*lane, 40);
    }
    world.run(10_000);
    assert!(lanes.iter().all(|lane| world.left(*lane) == 0));
    assert_eq!(world.most_under_way, 8);
    let last = world.sent.last().unwrap().0;
    assert!(last < 1_500, "800 by 8 at 10 ms take a second: {last}");
}

#[test]
fn a_message_is_settled_whose_deliveries_were_claimed_and_recorded_another_way() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(40));
    world.limits.get_mut(&LimitId(1)).unwrap().terms.concurrency = 1;
    world.run(100);
    let ids = world.message(lane, 4);
    // They are swept: the lane has them twice.
    world.sweep();
    world.hear(Event::Woken(vec![lane]));
    world.run(5_000);
    assert_eq!(world.left(lane), 0);
    assert!(ids.iter().all(|id| world.acked.contains(id)));
}

#[test]
fn what_waits_for_a_place_starts_when_more_are_allowed() {
    let mut world = World::new(Settings::default());
    let hangs = world.unlimited(1, Target::Hangs);
    let waits = world.unlimited(2, Target::Answers(5));
    let shared = world.lanes[&hangs].limit;
    world.limits.get_mut(&shared).unwrap().terms.concurrency = 1;
    world.lanes.get_mut(&waits).unwrap().limit = shared;
    world.run(100);
    world.message(hangs, 1);
    world.message(waits, 1);
    world.run(500);
    assert_eq!(world.left(waits), 1);
    world.limits.get_mut(&shared).unwrap().terms.concurrency = 2;
    world.run(2_500);
    assert_eq!(world.left(waits), 0);
}

#[test]
fn lanes_share_a_concurrency_from_their_first_message_on() {
    let mut world = World::new(Settings::default());
    let lanes: Vec<LaneId> =
        (1..=5).map(|number| world.unlimited(number, Target::Answers(100))).collect();
    let shared = world.lanes[&lanes[0]].limit;
    world.limits.get_mut(&shared).unwrap().terms.concurrency = 1;
    for lane in &lanes {
        world.lanes.get_mut(lane).unwrap().limit = shared;
        world.message(*lane, 1);
    }
    world.run(1_000);
    assert!(lanes.iter().all(|lane| world.left(*lane) == 0));
    assert_eq!(world.most_under_way, 1);
}

/// Claims that come one by one cost as much as claims that come together.
#[test]
fn a_lane_that_goes_fast_claims_many_at_a_time() {
    let mut world = World::new(Settings::default());
    let lane = world.unlimited(1, Target::Answers(5));
    world.run(100);
    world.message(lane, 400);
    world.run(1_000);
    let before = world.claims;
    world.message(lane, 6_000);
    world.run(5_000);
    assert_eq!(world.left(lane), 0);
    let claims = world.claims - before;
    assert!(claims <= 6_000 / 64, "{claims} claims for 6,000 deliveries");
}

/// A webhook was edited after its message had left.
#[test]
fn a_delivery_that_moved_to_a_lane_nobody_looked_at_waits_for_its_concurrency() {
    let mut world = World::new(Settings::default());
    let busy = world.unlimited(1, Target::Answers(400));
    let old = world.unlimited(2, Target::Answers(400));
    world.limits.get_mut(&LimitId(1)).unwrap().terms.concurrency = 1;
    world.run(100);
    world.message(busy, 1);
    world.run(120);
    let new = world.unlimited(3, Target::Answers(400));
    world.lanes.get_mut(&new).unwrap().limit = LimitId(1);
    let ids = world.message(old, 1);
    world.moves(ids[0], new);
    world.run(2_000);
    assert_eq!((world.left(busy), world.left(new), world.most_under_way), (0, 0, 1));
}

/// Settings moved the lane to another limit while a claim was open.
#[test]
fn a_claim_counts_under_the_limit_that_its_lane_has_when_it_comes() {
    let mut world = World::new(Settings::default());
    let busy = world.unlimited(1, Target::Answers(4_000));
    let lane = world.unlimited(2, Target::Answers(400));
    world.limits.get_mut(&LimitId(1)).unwrap().terms.concurrency = 1;
    world.run(100);
    world.message(lane, 1);
    world.run(900);
    world.message(busy, 1);
    world.message(lane, 1);
    // The poll of the second is under way, and sees the new limit before the claim is answered.
    world.run(990);
    world.rtt = 60;
    world.run(1_005);
    let polls = world.polls;
    world.message(lane, 1);
    world.lanes.get_mut(&lane).unwrap().limit = LimitId(1);
    world.run(1_031);
    assert_eq!(world.polls, polls + 1, "it was under way");
    world.run(8_000);
    assert_eq!((world.left(busy), world.left(lane)), (0, 0));
    let sent = world.sent_by(lane);
    assert!(sent[2] >= 4_900, "sent beside the only one that may be under way: {sent:?}");
}

#[test]
fn a_lane_that_becomes_limited_is_led_and_paced() {
    let mut world = world();
    let lane = world.unlimited(1, Target::Answers(5));
    world.run(50);
    world.message(lane, 5);
    world.run(2_000);
    let pace = Pace { interval: Duration::from_millis(500), burst: 1 };
    world.limits.get_mut(&world.lanes[&lane].limit).unwrap().terms.pacing =
        Pacing::Limited { pace: Some(pace) };
    world.due(lane, 5);
    world.run(12_000);
    assert_eq!(world.left(lane), 0);
    let sent = world.sent_by(lane);
    assert!(sent[5..].windows(2).all(|pair| pair[1] - pair[0] >= 494), "{sent:?}");
    world.limits.get_mut(&world.lanes[&lane].limit).unwrap().terms.pacing = Pacing::Unlimited;
    world.run(14_000);
    world.message(lane, 100);
    world.run(20_000);
    assert_eq!(world.left(lane), 0);
}

/// As for a webhook that is parked and whose deliveries stand aside: nothing of the lane is due.
#[test]
fn the_probe_of_an_idle_lane_comes_at_its_time_and_costs_one_look() {
    let idle = |probe_at: Option<u64>| {
        let mut world = world();
        let lane = world.unlimited(1, Target::Answers(5));
        world.run(8_000);
        world.lanes.get_mut(&lane).unwrap().probe_at = probe_at;
        world.run(60_000);
        (world.polls, world.probes.clone())
    };
    let (polls, probes) = idle(Some(23_700));
    assert_eq!(probes.len(), 1);
    assert!((23_700..23_720).contains(&probes[0]), "{probes:?}");
    let (without, _) = idle(None);
    assert!(polls <= without + 3, "{polls} polls, {without} without a probe");
}

/// A crash makes again what is claimed and not recorded.
#[test]
fn outcomes_keep_their_permits_until_they_are_recorded() {
    let mut world = World::new(Settings { permits: 64, ..Settings::default() });
    let lane = world.unlimited(1, Target::Answers(2));
    world.records_in = 200;
    world.message(lane, 500);
    let mut most = 0;
    while world.left(lane) > 0 {
        world.run(world.now + 1);
        most = most.max(world.claimed());
        assert!(most <= 64, "{most} deliveries are claimed");
        assert!(world.now < 10_000, "{} are left", world.left(lane));
    }
    assert_eq!(most, 64, "all permits are used");
}
