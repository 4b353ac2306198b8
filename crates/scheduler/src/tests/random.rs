//! Whatever happens, permits are conserved, nobody idles, and everything comes to its end.

use std::time::Duration;

use postrider_domain::LaneId;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::*;
use super::world::{Target, World};

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        4 => (0_u64..300).prop_map(Target::Answers),
        1 => Just(Target::Hangs),
        1 => Just(Target::Refuses),
        1 => (1_u64..50, 500_u64..5_000).prop_map(|(took, after)| Target::Fails(took, after)),
        1 => Just(Target::Rejects),
        1 => (100_u64..3_000).prop_map(Target::Limits),
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    let paced = (20_u64..800, 1_u32..3).prop_map(|(millis, burst)| Pacing::Limited {
        pace: Some(Pace { interval: Duration::from_millis(millis), burst }),
    });
    let pacing = prop_oneof![
        3 => Just(Pacing::Unlimited),
        2 => paced,
        1 => Just(Pacing::Limited { pace: None }),
    ];
    (1_u32..70, pacing).prop_map(|(concurrency, pacing)| Terms { concurrency, pacing })
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Message(usize, usize),
    Due(usize, usize),
    Wake(usize),
    Becomes(usize, Target),
    Changes(usize, Terms),
    Joins(usize, usize),
    Away(bool),
    Unknown(bool),
    Descriptors(bool),
    Hold(usize, bool),
    Lost(usize),
    Slow(u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let lane = 0_usize..5;
    prop_oneof![
        6 => (lane.clone(), 1_usize..60).prop_map(|(lane, count)| Step::Message(lane, count)),
        3 => (lane.clone(), 1_usize..40).prop_map(|(lane, count)| Step::Due(lane, count)),
        2 => lane.clone().prop_map(Step::Wake),
        2 => (lane.clone(), target()).prop_map(|(lane, target)| Step::Becomes(lane, target)),
        1 => (lane.clone(), terms()).prop_map(|(lane, terms)| Step::Changes(lane, terms)),
        1 => (lane.clone(), lane.clone()).prop_map(|(lane, to)| Step::Joins(lane, to)),
        1 => any::<bool>().prop_map(Step::Away),
        1 => any::<bool>().prop_map(Step::Unknown),
        1 => any::<bool>().prop_map(Step::Descriptors),
        1 => (lane.clone(), any::<bool>()).prop_map(|(lane, held)| Step::Hold(lane, held)),
        1 => lane.prop_map(Step::Lost),
        1 => (1_u64..60).prop_map(Step::Slow),
        9 => (1_u64..3_000).prop_map(Step::Pass),
    ]
}

fn apply(world: &mut World, lanes: &[LaneId], step: Step) {
    match step {
        Step::Message(lane, count) => {
            world.message(lanes[lane], count);
        }
        Step::Due(lane, count) => {
            world.due(lanes[lane], count);
        }
        Step::Wake(lane) => world.hear(Event::Woken(vec![lanes[lane]])),
        Step::Becomes(lane, target) => {
            world.lanes.get_mut(&lanes[lane]).unwrap().target = target;
        }
        Step::Changes(lane, terms) => {
            let limit = world.lanes[&lanes[lane]].limit;
            let limit = world.limits.get_mut(&limit).unwrap();
            if limit.terms.pacing != terms.pacing {
                limit.epoch += 1;
                limit.leased_until = 0;
            }
            limit.terms = terms;
        }
        Step::Joins(lane, to) => {
            let limit = world.lanes[&lanes[to]].limit;
            world.lanes.get_mut(&lanes[lane]).unwrap().limit = limit;
        }
        Step::Away(is_away) => world.store_away = is_away,
        Step::Unknown(is_unknown) => world.claims_unknown = is_unknown,
        Step::Descriptors(is_out) => world.no_descriptors = is_out,
        Step::Hold(lane, held) => {
            let lane = world.lanes.get_mut(&lanes[lane]).unwrap();
            lane.held = held;
            lane.probe_due = held;
        }
        Step::Lost(lane) => {
            let limit = world.lanes[&lanes[lane]].limit;
            let limit = world.limits.get_mut(&limit).unwrap();
            limit.epoch += 1;
            limit.leased_until = world.now + 500;
        }
        Step::Slow(rtt) => world.rtt = rtt,
        Step::Pass(millis) => world.run(world.now + millis),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        // The same each time; other seeds are for longer runs.
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn everything_comes_to_its_end(
        permits in prop_oneof![Just(8_u32), Just(64), Just(1_024)],
        lanes in prop::collection::vec((terms(), target()), 5),
        steps in prop::collection::vec(step(), 1..80),
        stops in any::<bool>(),
    ) {
        let mut world = World::new(Settings { permits, ..Settings::default() });
        world.timeout = 3_000;
        let lanes: Vec<LaneId> = (1..)
            .zip(lanes)
            .map(|(number, (terms, target))| world.add(number, terms, target))
            .collect();
        for step in steps {
            apply(&mut world, &lanes, step);
        }
        if stops {
            world.hear(Event::Stop);
            let by = world.now + 31_000;
            world.run(by);
            prop_assert!(world.log.contains(&"stopped"));
            prop_assert!(world.under_way.values().all(|under_way| *under_way == 0));
            world.scheduler.audit().unwrap();
            return Ok(());
        }
        // The weather clears up: everything is delivered.
        world.store_away = false;
        world.claims_unknown = false;
        world.no_descriptors = false;
        world.rtt = 2;
        for lane in world.lanes.values_mut() {
            lane.target = Target::Answers(5);
        }
        let by = world.now + 1_000_000;
        while world.now < by && lanes.iter().any(|lane| world.left(*lane) > 0) {
            world.lanes.values_mut().for_each(|lane| lane.probe_due = lane.held);
            world.run(world.now + 20_000);
        }
        for lane in &lanes {
            prop_assert_eq!(world.left(*lane), 0, "of {:?} at {}", lane, world.now);
        }
    }
}
