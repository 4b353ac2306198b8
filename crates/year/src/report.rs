//! What a year came to, and what several did.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_domain::age;
use serde::Serialize;

use crate::control::{NEWEST_CONTRACT, NEWEST_RESULT, STREAK_EXPIRES};
use crate::counts::{Alarm, Worth, is_busy};
use crate::plan::{Fault, FaultKind, Plan, SLACK, duration};
use crate::time::{Millis, at};
use crate::world::World;

/// What became of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was found within its bound.
    Found,
    /// It was found, and too late.
    Late,
    /// It lasted longer than its bound, and was not found.
    Missed,
    /// It was over before its bound was.
    OverBefore,
    /// Nothing met it: nobody published meanwhile, say.
    NotMet,
}

/// A planted fault.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct FaultReport {
    /// Which.
    pub kind: FaultKind,
    /// What became of it.
    pub fate: Fate,
    /// How late it may be found, without the look and the round that may lie between, in seconds.
    pub bound: u64,
    /// How late it was found, in seconds; of what is an age without quiet days.
    pub delay: Option<u64>,
    /// When it was planted, in hours of the year.
    pub hour: i64,
    /// The pair, provider or lane.
    pub subject: usize,
    /// Whether the rules found it that clear a pair by any newest result, take a debt to be as old
    /// as the newest contract, and let streaks expire.
    pub by_control: [bool; 3],
}

impl FaultReport {
    /// Whether it should have been found, or earlier.
    pub fn is_wrong(&self) -> bool {
        matches!(self.fate, Fate::Late | Fate::Missed)
    }
}

/// One run.
#[derive(Debug)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// Dispatches in all, and of pairs that publish all the time.
    pub dispatches: (u64, u64),
    /// Faults.
    pub faults: Vec<FaultReport>,
    /// Alarms.
    pub alarms: Vec<Alarm>,
    /// Results that came later than three times the median.
    pub later_than_median: u64,
    /// Pairs that publish all the time.
    pub busy: usize,
}

pub(crate) fn report(world: &World) -> Report {
    Report {
        plan: world.plan,
        dispatches: (world.tally.dispatches, world.tally.dispatches_of_busy),
        faults: world.faults.iter().map(|fault| of_fault(world, fault)).collect(),
        alarms: world.tally.alarms.clone(),
        later_than_median: world.controls.later_than_median,
        busy: world.pairs.iter().filter(|pair| is_busy(pair.rate)).count(),
    }
}

fn of_fault(world: &World, fault: &Fault) -> FaultReport {
    let passed = |from: Millis, to: Millis| {
        if fault.kind.is_of_age() {
            age(&world.rules.freshness.quiet, at(from), at(to))
        } else {
            duration(to - from)
        }
    };
    let ends = fault.over.unwrap_or(fault.until).min(world.plan.end());
    // While the broker is away nothing is called late because of it.
    let away = world.faults.iter().filter(|other| other.kind == FaultKind::BrokerAway);
    let hidden = away.map(|away| {
        let (from, to) = (fault.clock.unwrap_or(ends).max(away.at), ends.min(away.until));
        if to > from { passed(from, to) } else { Duration::ZERO }
    });
    let slack =
        if fault.kind.is_of_age() { duration(SLACK) + hidden.sum() } else { Duration::ZERO };
    let bound = fault.bound.saturating_add(slack);
    let delay = fault.clock.zip(fault.found).map(|(clock, found)| passed(clock, found.max(clock)));
    let fate = match (fault.clock, delay) {
        (None, _) => Fate::NotMet,
        (Some(_), Some(delay)) if delay <= bound => Fate::Found,
        (Some(_), Some(_)) => Fate::Late,
        (Some(clock), None) if passed(clock, ends) <= bound => Fate::OverBefore,
        (Some(_), None) => Fate::Missed,
    };
    FaultReport {
        kind: fault.kind,
        fate,
        bound: fault.bound.as_secs(),
        delay: delay.map(|delay| delay.as_secs()),
        hour: fault.at / 3_600_000,
        subject: fault.subject,
        by_control: fault.by_control.map(|at| at.is_some()),
    }
}

/// Of a kind of fault.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OfFault {
    /// The bounds' shortest and longest, in seconds.
    pub bound: (u64, u64),
    /// Delays: shortest, median, longest.
    pub delay: Option<(u64, u64, u64)>,
    /// Found within the bound, and all that had to be.
    pub found: (usize, usize),
    /// Over before their bound, or never met.
    pub left_out: usize,
}

/// Alarms of a kind.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct OfKind {
    /// That found a fault.
    pub found: u64,
    /// About what faults did.
    pub consequences: u64,
    /// True, of what nobody planted.
    pub true_unplanted: u64,
    /// False.
    pub false_alarms: u64,
    /// False, of pairs that publish all the time.
    pub false_of_busy: u64,
}

/// How a rule that is known to be wrong fared.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OfControl {
    /// Faults that it found.
    pub found: usize,
    /// Of so many that the real rule found.
    pub of: usize,
}

/// Several runs.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Dispatches, and without those of pairs that publish all the time.
    pub dispatches: (u64, u64),
    /// By kind of fault.
    pub faults: BTreeMap<FaultKind, OfFault>,
    /// By kind of incident.
    pub alarms: BTreeMap<&'static str, OfKind>,
    /// False alarms for 100,000 dispatches: of all, and without pairs that publish all the time.
    pub false_rate: (f64, f64),
    /// Three times the median, alone: false alarms for 100,000 dispatches.
    pub median_rate: f64,
    /// Any newest result clears the pair: dispatches for the deployed version that were lost.
    pub newest_result: OfControl,
    /// The age of the newest contract: dead pairs.
    pub newest_contract: OfControl,
    /// Streaks that expire: targets that are gone.
    pub streak_expires: OfControl,
}

/// Sums runs up.
pub fn summary(reports: &[Report]) -> Summary {
    let all: u64 = reports.iter().map(|report| report.dispatches.0).sum();
    let busy: u64 = reports.iter().map(|report| report.dispatches.1).sum();
    let alarms = alarms(reports);
    let wrong: u64 = alarms.values().map(|of| of.false_alarms).sum();
    let wrong_of_busy: u64 = alarms.values().map(|of| of.false_of_busy).sum();
    let median: u64 = reports.iter().map(|report| report.later_than_median).sum();
    let control = |kind, control| of_control(reports, kind, control);
    Summary {
        seeds: reports.iter().map(|report| report.plan.seed).collect(),
        dispatches: (all, all - busy),
        faults: FaultKind::ALL.into_iter().map(|kind| (kind, summed(reports, kind))).collect(),
        false_rate: (rate(wrong, all), rate(wrong - wrong_of_busy, all - busy)),
        alarms,
        median_rate: rate(median, all - busy),
        newest_result: control(FaultKind::LostForDeployed, NEWEST_RESULT),
        newest_contract: control(FaultKind::DeadPair, NEWEST_CONTRACT),
        streak_expires: control(FaultKind::TargetGone, STREAK_EXPIRES),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a year")]
fn rate(count: u64, of: u64) -> f64 {
    count as f64 * 100_000.0 / of.max(1) as f64
}

fn alarms(reports: &[Report]) -> BTreeMap<&'static str, OfKind> {
    let mut kinds: BTreeMap<&'static str, OfKind> = BTreeMap::new();
    for alarm in reports.iter().flat_map(|report| &report.alarms) {
        let of = kinds.entry(alarm.kind.as_str()).or_default();
        match alarm.worth {
            Worth::Found => of.found += 1,
            Worth::Consequence => of.consequences += 1,
            Worth::True => of.true_unplanted += 1,
            Worth::False => {
                of.false_alarms += 1;
                of.false_of_busy += u64::from(alarm.is_of_busy);
            }
        }
    }
    kinds
}

fn faults_of(reports: &[Report], kind: FaultKind) -> impl Iterator<Item = &FaultReport> {
    reports.iter().flat_map(|report| &report.faults).filter(move |fault| fault.kind == kind)
}

fn had_to_be_found(fault: &FaultReport) -> bool {
    match fault.fate {
        Fate::Found | Fate::Late | Fate::Missed => true,
        Fate::OverBefore | Fate::NotMet => false,
    }
}

fn summed(reports: &[Report], kind: FaultKind) -> OfFault {
    let met: Vec<&FaultReport> =
        faults_of(reports, kind).filter(|fault| had_to_be_found(fault)).collect();
    let mut delays: Vec<u64> = met.iter().filter_map(|fault| fault.delay).collect();
    delays.sort_unstable();
    let bounds = met.iter().map(|fault| fault.bound);
    let delay = delays.first().zip(delays.last());
    OfFault {
        bound: (bounds.clone().min().unwrap_or_default(), bounds.max().unwrap_or_default()),
        delay: delay.map(|(first, last)| (*first, delays[delays.len() / 2], *last)),
        found: (met.iter().filter(|fault| fault.fate == Fate::Found).count(), met.len()),
        left_out: faults_of(reports, kind).filter(|fault| !had_to_be_found(fault)).count(),
    }
}

fn of_control(reports: &[Report], kind: FaultKind, control: usize) -> OfControl {
    let found = faults_of(reports, kind).filter(|fault| fault.fate == Fate::Found);
    let of: Vec<bool> = found.map(|fault| fault.by_control[control]).collect();
    OfControl { found: of.iter().filter(|found| **found).count(), of: of.len() }
}
