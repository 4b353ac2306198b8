//! Keeping the facts of pairs: reading what is new, folding it in, writing what changed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{PairFacts, PairKey};
use postrider_store::{MonitorLease, PairFilter, PairRow, Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::fold::Ledger;

/// Pairs that are kept; further ones are not taken in, and the log says so.
const PAIRS_MOST: usize = 50_000;
/// Pairs read or written by one statement.
const PAGE: u32 = 2_000;
/// Events read by one statement, and statements of one round.
const EVENTS: u32 = 10_000;
const EVENT_PAGES: u32 = 50;
/// Events looked up by one statement for what became of their deliveries.
const DISPATCHES: usize = 500;
/// Ids of events come from the clocks of several hosts, and an event is seen when it is
/// committed: what lies this little back is read again in each round,
const OVERLAP: Duration = Duration::from_secs(10);
/// and now and then what lies further back.
const LONG_OVERLAP: Duration = Duration::from_mins(5);
const LONG_OVERLAP_EVERY: Duration = Duration::from_mins(1);

/// The facts of all pairs, one change at a time.
#[derive(Debug, Clone)]
pub(crate) struct Pairs {
    store: Store,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    looked_far_back: Option<Instant>,
}

/// What a round came to.
pub(crate) struct Folded {
    pub(crate) rows: Vec<PairRow>,
    /// Whether all events are folded in; while they are not, nobody can tell what is late.
    pub(crate) caught_up: bool,
}

impl Pairs {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, state: Arc::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Folds in what is new. `None` when the lease is lost.
    pub(crate) async fn fold(&self, lease: MonitorLease) -> Result<Option<Folded>, StoreError> {
        let mut state = self.state.lock().await;
        let mut ledger = self.ledger().await?;
        let is_time = |last: Instant| last.elapsed() >= LONG_OVERLAP_EVERY;
        let looks_far_back = state.looked_far_back.is_none_or(is_time);
        let overlap = if looks_far_back { LONG_OVERLAP } else { OVERLAP };
        let mut after = self.store.events_until(overlap, Timestamp::now()).await?;
        let mut caught_up = false;
        for _ in 0..EVENT_PAGES {
            let page = self.store.told_events(after, EVENTS).await?;
            page.told.iter().for_each(|told| ledger.tell(told));
            after = page.last.unwrap_or(after);
            caught_up = page.count < u64::from(EVENTS);
            if !self.save(lease, &mut ledger, page.last).await? {
                return Ok(None);
            }
            if caught_up {
                break;
            }
        }
        if looks_far_back && caught_up {
            state.looked_far_back = Some(Instant::now());
        }
        self.look_after_deliveries(&mut ledger).await?;
        if !self.save(lease, &mut ledger, None).await? {
            return Ok(None);
        }
        if ledger.refused() > 0 {
            let most = PAIRS_MOST;
            tracing::warn!(most, refused = ledger.refused(), "pairs.too_many");
        }
        Ok(Some(Folded { rows: ledger.into_rows(), caught_up }))
    }

    /// Folds in what a broker knows. `false` when the lease is lost.
    pub(crate) async fn learn(
        &self,
        lease: MonitorLease,
        known: &[(PairKey, PairFacts)],
    ) -> Result<bool, StoreError> {
        let _state = self.state.lock().await;
        let mut ledger = self.ledger().await?;
        for (key, facts) in known {
            ledger.learn(key, facts);
        }
        self.save(lease, &mut ledger, None).await
    }

    async fn ledger(&self) -> Result<Ledger, StoreError> {
        let mut rows: Vec<PairRow> = Vec::new();
        loop {
            let after = rows.last().map(|row| row.key.clone());
            let page = self.store.pairs(&PairFilter::default(), after.as_ref(), PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            rows.extend(page);
            if is_last || rows.len() >= PAIRS_MOST {
                return Ok(Ledger::new(rows, PAIRS_MOST));
            }
        }
    }

    async fn look_after_deliveries(&self, ledger: &mut Ledger) -> Result<(), StoreError> {
        let mut facts = Vec::new();
        for events in ledger.watched().chunks(DISPATCHES) {
            facts.extend(self.store.dispatches(events).await?);
        }
        ledger.dispatched(&facts);
        Ok(())
    }

    async fn save(
        &self,
        lease: MonitorLease,
        ledger: &mut Ledger,
        events_until: Option<postrider_domain::EventId>,
    ) -> Result<bool, StoreError> {
        let changed = ledger.take_changed();
        let chunks = changed.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX));
        for chunk in chunks {
            if !self.store.save_pairs(lease, chunk, None).await? {
                return Ok(false);
            }
        }
        match events_until {
            None => Ok(true),
            Some(_) => self.store.save_pairs(lease, &[], events_until).await,
        }
    }
}
