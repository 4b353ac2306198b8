//! Dispatches that led to nothing are made again, if the setting says so.
//!
//! A round finds the debts whose deliveries have ended and of which nothing was heard for too
//! long, looks at their pairs once more, and only what the broker says is still owed is dispatched:
//! a result of any outcome, or a broker that can't be read, ends it there. What the round's cap or
//! a limit leaves waits for the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use postrider_broker::{Pair, Survey};
use postrider_domain::owed::{Again, AgainBudget, Debt, Dispatched, Fate, again};
use postrider_domain::{EventId, FreshnessRules, LaneId, LaneState, PairKey, RedispatchMode, age};
use postrider_store::{EventFate, LaneInfo, MonitorLease, Store, StoreError, ToldDebt};
use tokio::time::Instant;

use super::error::WatchError;
use super::tell::Teller;
use crate::debts::events_of;

/// Events that one round makes at most.
const MOST: u64 = 10;
/// Pairs whose deliveries failed that one round looks at again.
const FAILED_MOST: usize = 4;
/// Looks at the broker between two rounds.
const LOOKS: u32 = 6;

/// What is done about dispatches that led to nothing.
#[derive(Debug, Clone)]
pub(crate) struct Healing {
    /// Whether they are made again.
    pub(crate) mode: RedispatchMode,
    /// How long a result may take.
    pub(crate) freshness: FreshnessRules,
    /// What is dispatched again has to leave within this time.
    pub(crate) objective: Duration,
    /// How often the broker is looked at.
    pub(crate) every: Duration,
}

/// Finds out what led to nothing, and dispatches it again.
#[derive(Debug)]
pub(crate) struct Healer {
    broker: String,
    store: Store,
    healing: Healing,
    /// When the last round was.
    last: Mutex<Option<Instant>>,
    /// The events of which it was said already that they would be dispatched again.
    said: Mutex<BTreeSet<EventId>>,
}

/// One round.
#[derive(Debug)]
pub(crate) struct Round {
    /// Pairs to look at.
    pub(crate) pairs: Vec<Pair>,
    told: BTreeMap<Pair, Vec<ToldDebt>>,
    /// Lanes that are open, with the name of their limit.
    limits: BTreeMap<LaneId, String>,
    budget: Mutex<AgainBudget>,
    made: AtomicUsize,
    left: AtomicUsize,
    now: Timestamp,
}

impl Healer {
    pub(crate) fn new(broker: String, store: Store, healing: Healing) -> Self {
        Self { broker, store, healing, last: Mutex::default(), said: Mutex::default() }
    }

    /// What is to be looked at, if it is time.
    pub(crate) async fn round(
        &self,
        now: Timestamp,
        is_troubled: impl Fn(&Pair) -> bool,
    ) -> Result<Option<Round>, StoreError> {
        let is_early = |at: Instant| at.elapsed() < self.healing.every.saturating_mul(LOOKS);
        if lock(&self.last).is_some_and(is_early) {
            return Ok(None);
        }
        let mut told = self.store.told_debts(Some(&self.broker)).await?;
        told.retain(|debt| !is_troubled(&pair_of(&debt.key)));
        *lock(&self.last) = Some(Instant::now());
        let events: BTreeSet<EventId> = told.iter().flat_map(events_of).collect();
        lock(&self.said).retain(|event| events.contains(event));
        let fates = self.store.event_fates(&events.into_iter().collect::<Vec<_>>()).await?;
        let mut round = self.chosen(&told, &fates, now);
        if round.pairs.is_empty() {
            return Ok(None);
        }
        let lanes = self.store.lanes().await?;
        let (budget, limits) = budget_of(&lanes, self.healing.objective, now);
        (round.budget, round.limits) = (Mutex::new(budget), limits);
        for debt in told {
            round.told.entry(pair_of(&debt.key)).or_default().push(debt);
        }
        Ok(Some(round))
    }

    /// The pairs of what is due and of what failed, those first that nobody looked at for longest.
    fn chosen(
        &self,
        told: &[ToldDebt],
        fates: &BTreeMap<EventId, EventFate>,
        now: Timestamp,
    ) -> Round {
        let (mut due, mut failed) = (Vec::new(), Vec::new());
        for debt in told {
            let has_failed = |event| fates.get(&event).is_some_and(|fate| !fate.failed.is_empty());
            let verdict = self.judge(debt, dispatched(fates.get(&debt.newest())), now);
            if verdict == Again::Now && self.is_to_do(debt) {
                due.push(debt);
            } else if verdict == Again::GaveUp || events_of(debt).any(has_failed) {
                failed.push(debt);
            }
        }
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let left = due.len().saturating_sub(most);
        let now_due = due.into_iter().take(most);
        let mut pairs: Vec<Pair> = Vec::new();
        for debt in now_due.chain(failed.into_iter().take(FAILED_MOST)) {
            let pair = pair_of(&debt.key);
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        Round {
            pairs,
            told: BTreeMap::new(),
            limits: BTreeMap::new(),
            budget: Mutex::default(),
            made: AtomicUsize::new(0),
            left: AtomicUsize::new(left),
            now,
        }
    }

    /// Whether anything is done about what is due, and was not said already.
    fn is_to_do(&self, debt: &ToldDebt) -> bool {
        match self.healing.mode {
            RedispatchMode::Off => false,
            RedispatchMode::DryRun => !lock(&self.said).contains(&debt.newest()),
            RedispatchMode::On => true,
        }
    }

    fn judge(&self, debt: &ToldDebt, dispatched: Dispatched, now: Timestamp) -> Again {
        let rules = &self.healing.freshness;
        let waited = match dispatched {
            Dispatched::Ended(at) => Some(age(&rules.quiet, at, now)),
            Dispatched::Open | Dispatched::Unwanted => None,
        };
        let (patience, _) = rules.threshold(&debt.key, debt.learned, waited);
        again(dispatched, debt.again, patience, &rules.quiet, now)
    }

    /// Dispatches what of a pair is still owed, `owed` as the broker says just now, and due.
    pub(crate) async fn heal(
        &self,
        lease: MonitorLease,
        teller: &Teller,
        survey: &Survey<'_>,
        (pair, owed): (&Pair, &[(Debt, Fate)]),
        round: &Round,
    ) -> Result<(), WatchError> {
        let told = round.told.get(pair).map(Vec::as_slice).unwrap_or_default();
        let mut over = Vec::new();
        for known in told {
            let is_it = |(debt, _): &&(Debt, Fate)| {
                debt.consumer_version == known.consumer_version
                    && debt.provider.version == known.provider_version
                    && known.is_of(debt.published_at)
            };
            match owed.iter().find(is_it) {
                None => over.push(known),
                Some((debt, _)) if self.healing.mode != RedispatchMode::Off => {
                    self.heal_one(lease, teller, survey, (known, debt), round).await?;
                }
                Some(_) => {}
            }
        }
        if self.store.debts_over(lease, &over).await? { Ok(()) } else { Err(WatchError::LeaseLost) }
    }

    async fn heal_one(
        &self,
        lease: MonitorLease,
        teller: &Teller,
        survey: &Survey<'_>,
        (known, debt): (&ToldDebt, &Debt),
        round: &Round,
    ) -> Result<(), WatchError> {
        // Somebody may have told of it once more meanwhile.
        let pair = pair_of(&known.key);
        let newest = teller.told(survey, &pair, debt).await?.unwrap_or(known.newest());
        let fates = self.store.event_fates(&[newest]).await?;
        if self.judge(known, dispatched(fates.get(&newest)), round.now) != Again::Now {
            return Ok(());
        }
        let Some(event) = survey.event(&pair, debt, &self.broker).await? else { return Ok(()) };
        let lanes = teller.lanes_of(&event).await?;
        if !round.take(&lanes) {
            round.left.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let times = known.again + 1;
        if self.healing.mode == RedispatchMode::DryRun {
            if lock(&self.said).insert(newest) {
                say_would(known, times);
            }
            return Ok(());
        }
        let (event, is_new) = teller.commit_again(event, times).await?;
        if !self.store.dispatched_again(lease, known, times, event).await? {
            return Err(WatchError::LeaseLost);
        }
        if is_new {
            round.made.fetch_add(1, Ordering::Relaxed);
            say_made(known, times, event);
        }
        Ok(())
    }

    /// Says what the round left, if anything.
    pub(crate) fn tell(&self, round: &Round) {
        let left = round.left.load(Ordering::Relaxed);
        if left > 0 {
            tracing::info!(
                broker = self.broker,
                made = round.made.load(Ordering::Relaxed),
                left,
                "watch.redispatch_left"
            );
        }
    }
}

impl Round {
    /// Takes an event with these lanes out of the budget, if it allows it.
    fn take(&self, lanes: &[LaneId]) -> bool {
        let limits: Option<Vec<&str>> =
            lanes.iter().map(|lane| self.limits.get(lane).map(String::as_str)).collect();
        limits.is_some_and(|limits| lock(&self.budget).take(&limits))
    }
}

/// What may be dispatched again: nothing goes to lanes that are held or paused.
fn budget_of(
    lanes: &[LaneInfo],
    objective: Duration,
    now: Timestamp,
) -> (AgainBudget, BTreeMap<LaneId, String>) {
    let is_open = |lane: &&LaneInfo| {
        lane.state == LaneState::Open && lane.paused_until.is_none_or(|until| until <= now)
    };
    let mut waiting: BTreeMap<&str, (&LaneInfo, u64)> = BTreeMap::new();
    let mut limits = BTreeMap::new();
    for lane in lanes.iter().filter(is_open) {
        waiting.entry(&lane.limit).or_insert((lane, 0)).1 += lane.backlog + lane.sending;
        limits.insert(lane.id, lane.limit.clone());
    }
    let budget = waiting.iter().fold(AgainBudget::new(MOST), |budget, (limit, (lane, waiting))| {
        budget.limit(limit, &lane.limits, *waiting, objective)
    });
    (budget, limits)
}

fn say_would(debt: &ToldDebt, times: u32) {
    tracing::info!(
        broker = debt.key.broker,
        consumer = debt.key.consumer,
        consumer_version = debt.consumer_version,
        provider = debt.key.provider,
        provider_version = debt.provider_version,
        times,
        "watch.would_redispatch"
    );
}

fn say_made(debt: &ToldDebt, times: u32, event: EventId) {
    tracing::info!(
        broker = debt.key.broker,
        consumer = debt.key.consumer,
        consumer_version = debt.consumer_version,
        provider = debt.key.provider,
        provider_version = debt.provider_version,
        times,
        event_id = %event.0,
        "watch.redispatched"
    );
}

fn dispatched(fate: Option<&EventFate>) -> Dispatched {
    fate.map_or(Dispatched::Unwanted, EventFate::dispatched)
}

fn pair_of(key: &PairKey) -> Pair {
    Pair { consumer: key.consumer.clone(), provider: key.provider.clone() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
