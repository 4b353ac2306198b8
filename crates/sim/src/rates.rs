//! How well a limited limit uses its rate, and whether it ever exceeds it, leaders changing or not.

use std::time::Duration;

use postrider_domain::{LaneLimits, TargetKind};
use postrider_store::LaneSpec;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::plan::Plan;
use crate::target::Weather;
use crate::trace::Trace;
use crate::world::World;

pub use crate::fault::Leader;

/// A limit under watch.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Its terms.
    pub limits: LaneLimits,
    /// How long its target takes, in milliseconds; the way there takes 20 more on average.
    pub answers_in: u64,
    /// How long it is watched.
    pub length: Duration,
    /// What happens to its leader half way.
    pub leader: Leader,
    /// Decides what is left to chance.
    pub seed: u64,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Requests from the first one on.
    pub sent: usize,
    /// How many there can be at this pace, with so many at once.
    pub possible: f64,
    /// The longest time between two requests, in milliseconds.
    pub longest_gap: u64,
    /// What was wrong.
    pub wrong: Option<String>,
}

/// Watches a limit that has all the work it can have.
pub fn watch(watched: &Watched, flaw: Option<Flaw>) -> Seen {
    let Ok(event) = crate::intake::event() else {
        let wrong = Some("the event can't be written".to_owned());
        return Seen { sent: 0, possible: 0.0, longest_gap: 0, wrong };
    };
    let mut chance = Chance::new(watched.seed);
    let length = ms(watched.length);
    let work = possible(watched, length + 60_000);
    let plan = plan(watched, &mut chance, work);
    let mut world = World::new(chance, plan, event, flaw, Trace::default());
    world.begins();
    for target in world.targets.values_mut() {
        target.weather = Weather::Steady(watched.answers_in);
    }
    let half = length / 2;
    world.at(half, Happening::Fault(Fault::Leader(watched.leader)));
    world.runs_until(length);
    let sent: Vec<u64> = world.checks.sent.clone();
    let wrong = world.stops_watching();
    let first = sent.first().copied().unwrap_or(length);
    let gaps = sent.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    Seen {
        sent: sent.len(),
        possible: possible(watched, length.saturating_sub(first)),
        longest_gap: gaps.max().unwrap_or(length),
        wrong,
    }
}

fn plan(watched: &Watched, chance: &mut Chance, work: f64) -> Plan {
    let name = "host-0/s0".to_owned();
    let spec = LaneSpec { limit: name.clone(), name, limits: watched.limits };
    // A window of a day is watched for hours: nobody needs to look each second.
    let is_slow = watched.length > Duration::from_hours(1);
    let margin = Duration::from_secs(6);
    Plan {
        workers: 2,
        permits: 64,
        lease: Duration::from_secs(if is_slow { 60 } else { 5 }),
        poll: Duration::from_secs(if is_slow { 10 } else { 1 }),
        timeout: Duration::from_secs(4),
        margin,
        sweep_after: Duration::from_secs(30),
        deadline: 2_000,
        specs: vec![spec],
        kinds: vec![TargetKind::Other],
        webhooks: 1,
        rows: count(work.ceil() + 10.0),
        events_at_once: 500,
        events_apart: 1,
        storm: u64::MAX,
        faults: 0,
        ..Plan::new(chance)
    }
}

/// Requests within so many milliseconds.
fn possible(watched: &Watched, length: u64) -> f64 {
    let length = Duration::from_millis(length).as_secs_f64();
    let answer = Duration::from_millis(watched.answers_in + 20).as_secs_f64();
    let by_places = f64::from(watched.limits.concurrency) / answer;
    let interval = watched.limits.interval().unwrap_or_default().as_secs_f64();
    let by_pace = if interval > 0.0 { 1.0 / interval } else { f64::INFINITY };
    by_places.min(by_pace) * length
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of requests, not negative"
)]
fn count(number: f64) -> usize {
    number as usize
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
