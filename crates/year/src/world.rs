//! The world as a whole, and how it begins.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use postrider_domain::owed::Past;
use postrider_domain::{
    FreshnessRules, Learned, PairFacts, PairKey, QuietDays, RedispatchMode, ResultTimes,
    RetryPolicy,
};
use postrider_monitor::Rules;
use postrider_store::{IncidentKind, PairRow};

use crate::calendar::Calendar;
use crate::chance::{Chance, Takes};
use crate::control::Controls;
use crate::counts::Counts;
use crate::happening::{Due, Happening};
use crate::parts::{BROKER, Lane, Pair, Provider, Published, Verified, Webhook};
use crate::plan::{Fault, JUDGE_OFFSET, LANES, LOOK_EVERY, Plan, duration, planted};
use crate::time::{DAY, HOUR, MINUTE, Millis, at};

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: Millis,
    pub(crate) chance: Chance,
    pub(crate) calendar: Calendar,
    pub(crate) rules: Rules,
    pub(crate) retry: RetryPolicy,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) faults: Vec<Fault>,
    /// Short times at which the target answers with errors.
    pub(crate) hiccups: Vec<(Millis, Millis)>,
    /// The fault that keeps the broker away, and since when looks fail.
    pub(crate) away: Option<usize>,
    pub(crate) failing_since: Option<Millis>,
    pub(crate) answered_at: Millis,
    /// When the last walk was before the one under way, if that is longer ago than usual.
    pub(crate) looked_last: Option<Millis>,
    /// The fault that switched the relay off, and whether and when that was seen.
    pub(crate) relay_off: Option<usize>,
    pub(crate) relay_seen_off: Option<Millis>,
    pub(crate) evaluate_at: Option<Millis>,
    pub(crate) by_subject: HashMap<String, usize>,
    pub(crate) open: BTreeMap<(IncidentKind, String), Millis>,
    pub(crate) controls: Controls,
    pub(crate) tally: Counts,
    heap: BinaryHeap<Reverse<Due>>,
    numbers: u64,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut chance = Chance::new(plan.seed);
        let rates: Vec<f64> = (0..plan.pairs).map(|pair| rate(&plan, pair, &mut chance)).collect();
        let faults = planted(&plan, &rates, &mut chance);
        let mut world = Self {
            plan,
            now: 0,
            calendar: Calendar::new(plan.days),
            rules: rules(),
            retry: RetryPolicy::default(),
            pairs: Vec::new(),
            providers: Vec::new(),
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
            faults,
            hiccups: hiccups(&plan, &mut chance),
            away: None,
            failing_since: None,
            answered_at: 0,
            looked_last: None,
            relay_off: None,
            relay_seen_off: None,
            evaluate_at: None,
            by_subject: HashMap::new(),
            open: BTreeMap::new(),
            controls: Controls::new(plan.providers()),
            tally: Counts::default(),
            heap: BinaryHeap::new(),
            numbers: 0,
            chance,
        };
        world.add_providers();
        rates.into_iter().enumerate().for_each(|(pair, rate)| world.add_pair(pair, rate));
        world.begin();
        world
    }

    /// Plans something.
    pub(crate) fn plan(&mut self, at: Millis, what: Happening) {
        if at < self.plan.end() {
            self.numbers += 1;
            self.heap.push(Reverse(Due { at, number: self.numbers, what }));
        }
    }

    /// Goes to what happens next.
    pub(crate) fn next(&mut self) -> Option<Happening> {
        let Reverse(due) = self.heap.pop()?;
        self.now = due.at;
        Some(due.what)
    }

    /// When what happens so often at the peak happens next, if it does.
    pub(crate) fn plan_next(&mut self, rate: f64, what: Happening) {
        if let Some(at) = self.calendar.next(self.now, rate, &mut self.chance) {
            self.plan(at, what);
        }
    }

    /// The next look at a pair.
    pub(crate) fn plan_look(&mut self, pair: usize, after: Millis) {
        let at = next_multiple(after, LOOK_EVERY);
        let planned = self.pairs[pair].look_at;
        if planned.is_none_or(|planned| at < planned) {
            self.pairs[pair].look_at = Some(at);
            self.plan(at, Happening::Look(pair));
        }
    }

    fn add_providers(&mut self) {
        for number in 0..self.plan.providers() {
            let chance = &mut self.chance;
            let median = chance.log_between(0.5, 40.0) * minutes();
            let takes = Takes { median, sigma: chance.between(0.2, 0.8) };
            // From a build in two weeks to one in two hours of work.
            let builds = chance.log_between(0.01, 0.5);
            let deploys = builds / chance.between(1.0, 5.0);
            let lane =
                if self.plan.keeps_its_token(number) { LANES - 1 } else { number % (LANES - 1) };
            let first = (1, -5 * DAY);
            self.providers.push(Provider {
                pairs: Vec::new(),
                rows: Vec::new(),
                next_version: 2,
                heads: VecDeque::from([first]),
                deployed: first,
                takes,
                builds,
                deploys,
                times: ResultTimes::default(),
                learned: Learned {
                    threshold: None,
                    seen: 0,
                    is_silent: false,
                    has_failed_run: false,
                },
                dead: None,
                last_result: 0,
                webhook: Webhook::new(number, lane),
                judge_at: None,
            });
        }
    }

    fn add_pair(&mut self, number: usize, rate: f64) {
        let many = self.plan.providers();
        let shared = (0..many).filter(|provider| !self.plan.is_lonely(*provider)).count();
        let provider = if number < many { number } else { number % shared };
        let key = PairKey {
            broker: BROKER.to_owned(),
            consumer: format!("c{number}"),
            provider: format!("p{provider}"),
        };
        self.by_subject.insert(key.to_string(), number);
        let of = &mut self.providers[provider];
        let first = Published {
            version: 1,
            at: -4 * DAY,
            results: vec![Verified { version: 1, at: -4 * DAY + HOUR, success: true }],
            told: vec![1],
            is_seen: true,
        };
        self.pairs.push(Pair {
            provider,
            place: of.pairs.len(),
            rate,
            contracts: VecDeque::new(),
            past: Past::default(),
            deployed: Some((first.clone(), -4 * DAY + 2 * HOUR)),
            running: BTreeSet::new(),
            took: Vec::new(),
            look_at: None,
            dead: None,
            loses_next: None,
            excuses: BTreeSet::new(),
            events: PairFacts::default(),
        });
        if let Some(pair) = self.pairs.last_mut() {
            pair.add(first);
        }
        of.pairs.push(number);
        of.rows.push(PairRow { key, facts: PairFacts::default(), watched: Vec::new() });
    }

    fn begin(&mut self) {
        for pair in 0..self.pairs.len() {
            let rate = self.pairs[pair].rate;
            self.pairs[pair].events.verified(at(-4 * DAY + HOUR), Some(true));
            self.plan_look(pair, 0);
            self.plan_next(rate, Happening::Publish(pair));
            self.plan_next(rate.min(0.05), Happening::DeployConsumer(pair));
        }
        for provider in 0..self.providers.len() {
            let (builds, deploys) =
                (self.providers[provider].builds, self.providers[provider].deploys);
            self.plan_next(builds, Happening::BuildBegins(provider));
            self.plan_next(deploys, Happening::Deploy(provider));
        }
        for fault in 0..self.faults.len() {
            self.plan(self.faults[fault].at, Happening::Plant(fault));
        }
        self.plan(HOUR, Happening::Controls);
        if self.plan.at_every_round {
            self.plan(JUDGE_OFFSET, Happening::Round);
        }
    }
}

/// The next instant after `after` that is a multiple of `of`.
pub(crate) fn next_multiple(after: Millis, of: Millis) -> Millis {
    (after.div_euclid(of) + 1) * of
}

fn minutes() -> f64 {
    60_000.0
}

/// Publications of a pair in an hour of work: a few busy ones, and from one a month to one an
/// hour.
fn rate(plan: &Plan, pair: usize, chance: &mut Chance) -> f64 {
    const ONE_A_MONTH: f64 = 1.0 / 230.0;
    match pair {
        _ if pair < plan.providers() && plan.is_lonely(pair) => {
            chance.log_between(ONE_A_MONTH, 0.2)
        }
        0 => plan.fastest,
        1 => plan.fastest / 10.0,
        2..=4 => plan.fastest / 100.0,
        5..=14 => plan.fastest / 600.0,
        _ => chance.log_between(ONE_A_MONTH, 1.0),
    }
}

/// One to eight minutes, thirty times a year: shorter than any incident takes.
fn hiccups(plan: &Plan, chance: &mut Chance) -> Vec<(Millis, Millis)> {
    let many = usize::from(plan.days / 12);
    let one = |_| {
        let start = chance.millis(0, plan.end());
        (start, start + chance.millis(MINUTE, 8 * MINUTE))
    };
    (0..many).map(one).collect()
}

/// The settings that there are without any.
fn rules() -> Rules {
    let freshness = FreshnessRules {
        max_age: None,
        quiet: QuietDays::new(
            vec![jiff::civil::Weekday::Saturday, jiff::civil::Weekday::Sunday],
            jiff::tz::TimeZone::UTC,
        ),
        pairs: Vec::new(),
        is_watched: true,
    };
    Rules {
        sustained_failures: 3,
        sustained_for: Duration::from_mins(10),
        delivery_objective: Duration::from_mins(5),
        freshness,
        broker_interval: duration(LOOK_EVERY),
        redispatch: RedispatchMode::Off,
    }
}
