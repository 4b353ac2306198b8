//! Keeping the facts of pairs: reading what is new, folding it in, writing what changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::PairKey;
use postrider_store::{MonitorLease, PairFilter, PairRow, Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::fold::{Learned, Ledger};

/// Pairs that are kept; further ones are not taken in, which is an incident.
pub(crate) const PAIRS_MOST: usize = 200_000;
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

/// What folding came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folded {
    /// Whether all events are folded in; while they are not, nobody can tell what is late.
    pub(crate) caught_up: bool,
    /// Pairs that found no room.
    pub(crate) refused: u64,
}

impl Pairs {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, state: Arc::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Folds in what is new, then shows all pairs to `see`, page by page. `None` when the lease
    /// is lost.
    pub(crate) async fn fold(
        &self,
        lease: MonitorLease,
        mut see: impl FnMut(&[PairRow]),
    ) -> Result<Option<Folded>, StoreError> {
        let mut state = self.state.lock().await;
        let is_time = |last: Instant| last.elapsed() >= LONG_OVERLAP_EVERY;
        let looks_far_back = state.looked_far_back.is_none_or(is_time);
        let overlap = if looks_far_back { LONG_OVERLAP } else { OVERLAP };
        let mut after = self.store.events_until(overlap, Timestamp::now()).await?;
        let mut room = self.room().await?;
        let mut folded = Folded { caught_up: false, refused: 0 };
        for _ in 0..EVENT_PAGES {
            let page = self.store.told_events(after, EVENTS).await?;
            let keys: BTreeSet<&PairKey> = page.told.iter().map(|told| &told.key).collect();
            let mut ledger = self.ledger(&keys.into_iter().collect::<Vec<_>>(), room).await?;
            page.told.iter().for_each(|told| ledger.tell(told));
            after = page.last.unwrap_or(after);
            folded.caught_up = page.count < u64::from(EVENTS);
            folded.refused += ledger.refused();
            room = room.saturating_sub(ledger.taken_in());
            if !self.save(lease, &mut ledger, page.last).await? {
                return Ok(None);
            }
            if folded.caught_up {
                break;
            }
        }
        if looks_far_back && folded.caught_up {
            state.looked_far_back = Some(Instant::now());
        }
        Ok(self.look_after(lease, &mut see).await?.then_some(folded))
    }

    /// Folds in what a broker knows of some of its pairs. `false` when the lease is lost.
    pub(crate) async fn learn(
        &self,
        lease: MonitorLease,
        known: &[(PairKey, Learned)],
    ) -> Result<bool, StoreError> {
        if known.is_empty() {
            return Ok(true);
        }
        let _state = self.state.lock().await;
        let mut room = self.room().await?;
        for chunk in known.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
            let keys: Vec<&PairKey> = chunk.iter().map(|(key, _)| key).collect();
            let mut ledger = self.ledger(&keys, room).await?;
            for (key, learned) in chunk {
                ledger.learn(key, learned);
            }
            room = room.saturating_sub(ledger.taken_in());
            if !self.save(lease, &mut ledger, None).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a broker said of pairs that it does not name any more counts no longer. `false` when
    /// the lease is lost.
    pub(crate) async fn forget_gone(
        &self,
        lease: MonitorLease,
        broker: &str,
        named: &BTreeSet<PairKey>,
    ) -> Result<bool, StoreError> {
        let _state = self.state.lock().await;
        let filter = PairFilter { broker: Some(broker.to_owned()), ..PairFilter::default() };
        let mut after: Option<PairKey> = None;
        loop {
            let page = self.store.pairs(&filter, after.as_ref(), PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            after = page.last().map(|row| row.key.clone());
            let mut ledger = Ledger::new(page, 0);
            ledger.forget_unless(|key| named.contains(key));
            if !self.save(lease, &mut ledger, None).await? {
                return Ok(false);
            }
            if is_last {
                return Ok(true);
            }
        }
    }

    /// How many more pairs there may be.
    async fn room(&self) -> Result<usize, StoreError> {
        let known = usize::try_from(self.store.count_pairs().await?).unwrap_or(usize::MAX);
        Ok(PAIRS_MOST.saturating_sub(known))
    }

    /// These pairs as they are known.
    async fn ledger(&self, keys: &[&PairKey], room: usize) -> Result<Ledger, StoreError> {
        Ok(Ledger::new(self.store.pairs_of(keys).await?, room))
    }

    /// Looks for what became of watched deliveries, and shows all pairs. `false` when the lease
    /// is lost.
    async fn look_after(
        &self,
        lease: MonitorLease,
        see: &mut impl FnMut(&[PairRow]),
    ) -> Result<bool, StoreError> {
        let mut after: Option<PairKey> = None;
        loop {
            let page = self.store.pairs(&PairFilter::default(), after.as_ref(), PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            after = page.last().map(|row| row.key.clone());
            let mut ledger = Ledger::new(page, 0);
            let mut facts = Vec::new();
            for events in ledger.watched().chunks(DISPATCHES) {
                facts.extend(self.store.dispatches(events).await?);
            }
            ledger.dispatched(&facts);
            if !self.save(lease, &mut ledger, None).await? {
                return Ok(false);
            }
            see(&ledger.into_rows());
            if is_last {
                return Ok(true);
            }
        }
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
