//! What a seed is about: lanes, limits, webhooks, settings, and what goes wrong when.

use std::time::Duration;

use postrider_domain::{LaneLimits, Rate, RetryPolicy, TargetKind};
use postrider_store::LaneSpec;

use crate::chance::Chance;
use crate::judge::Rules;
use crate::target::Target;

/// A seed's settings.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    /// Ingests have their workers beside them, without a queue, and let them claim as they commit.
    pub(crate) is_embedded: bool,
    pub(crate) permits: u32,
    pub(crate) lease: Duration,
    pub(crate) poll: Duration,
    pub(crate) timeout: Duration,
    pub(crate) margin: Duration,
    pub(crate) probe: Duration,
    pub(crate) sweep_after: Duration,
    /// How long a call to the store may take, in milliseconds.
    pub(crate) deadline: u64,
    pub(crate) rules: Rules,
    pub(crate) specs: Vec<LaneSpec>,
    pub(crate) kinds: Vec<TargetKind>,
    pub(crate) webhooks: usize,
    pub(crate) rows: usize,
    pub(crate) events_at_once: u64,
    /// At most so many milliseconds between commits of one ingest.
    pub(crate) events_apart: u64,
    /// How long the storm lasts, in milliseconds.
    pub(crate) storm: u64,
    /// How many faults there are in it.
    pub(crate) faults: u64,
}

/// Rates that lanes may have, and how many deliveries they can bear in a seed.
const RATES: [(u32, u64, usize); 5] =
    [(5, 1_000, 60), (10, 60_000, 8), (75, 60_000, 40), (180, 6_000, 120), (1_000, 1_000, 200)];

impl Plan {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        let lanes = chance.count(1..=5);
        let mut rows = 150;
        let mut specs: Vec<LaneSpec> = Vec::new();
        for number in 0..lanes {
            let limits = any_limits(chance, &mut rows);
            let name = format!("host-{number}/s{number}");
            let other = chance.pick(&specs).filter(|_| chance.one_in(4));
            specs.push(match other {
                Some(other) => LaneSpec { name, limit: other.limit, limits: other.limits },
                None => LaneSpec { limit: name.clone(), name, limits },
            });
        }
        let kind = |chance: &mut Chance| {
            if chance.one_in(2) { TargetKind::RepositoryDispatch } else { TargetKind::Other }
        };
        let retry = [1, 3, 10, 20, 20, 20, 20].map(Duration::from_secs).to_vec();
        let is_embedded = chance.one_in(3);
        let sweep_after = Duration::from_millis(chance.within(10_000..=60_000));
        Self {
            workers: chance.count(1..=4),
            is_embedded,
            permits: chance.pick(&[4, 16, 64, 1_024]).unwrap_or(64),
            lease: Duration::from_millis(chance.within(4_000..=10_000)),
            poll: Duration::from_secs(1),
            timeout: Duration::from_millis(chance.within(1_000..=5_000)),
            margin: Duration::from_secs(6),
            probe: Duration::from_millis(chance.within(500..=5_000)),
            sweep_after: if is_embedded { Duration::ZERO } else { sweep_after },
            deadline: chance.within(500..=2_500),
            rules: Rules { retry: RetryPolicy { schedule: retry }, probe: Duration::from_secs(2) },
            kinds: (0..lanes).map(|_| kind(chance)).collect(),
            webhooks: chance.count(1..=lanes + 2),
            rows: chance.count(5..=rows),
            events_at_once: chance.within(1..=8),
            events_apart: chance.pick(&[50, 500, 3_000]).unwrap_or(500),
            storm: chance.within(5_000..=40_000),
            faults: chance.within(0..=14),
            specs,
        }
    }

    pub(crate) fn timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// The target of a lane, by its name.
    pub(crate) fn target(&self, lane: &str) -> Option<Target> {
        let index = self.specs.iter().position(|spec| spec.name == lane)?;
        let kind = *self.kinds.get(index)?;
        Some(Target { kind, weather: crate::target::Weather::Fine(30) })
    }
}

/// Limits of a lane; what a slow one can bear bounds the seed's rows.
pub(crate) fn any_limits(chance: &mut Chance, rows: &mut usize) -> LaneLimits {
    let concurrency = chance.pick(&[1, 2, 8, 64]).unwrap_or(1);
    if chance.one_in(2) {
        return LaneLimits { rate: Rate::Unlimited, burst: 1, concurrency, per_hour: None };
    }
    let (count, window, bears) = chance.pick(&RATES).unwrap_or((5, 1_000, 60));
    *rows = (*rows).min(bears);
    let burst = chance.pick(&[1, 1, 2, 5]).unwrap_or(1).min(count);
    let rate = Rate::Limited { count, per: Duration::from_millis(window) };
    let per_hour = chance.one_in(6).then_some(400);
    LaneLimits { rate, burst, concurrency, per_hour }
}
