//! From what events, deliveries and brokers tell to what is known of each pair.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use postrider_broker::MatrixRow;
use postrider_domain::{BrokerSays, EventId, EventName, PairFacts, PairKey};
use postrider_store::{DispatchFact, PairRow, ToldEvents};

/// Events of a pair whose deliveries are looked at: the oldest that are on their way, and the
/// newest.
const WATCHED_MOST: usize = 16;

/// What a look at a pair at its broker came to.
#[derive(Debug, Clone)]
pub enum Learned {
    /// What the broker knows; without its word when the pair is gone.
    Facts(Box<PairFacts>),
    /// Why it could not tell, and when.
    Trouble(String, Timestamp),
}

/// Some pairs, and which of them changed since they were read.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    rows: BTreeMap<PairKey, PairRow>,
    changed: BTreeSet<PairKey>,
    room: usize,
    taken_in: usize,
    refused: u64,
}

impl Ledger {
    /// Pairs as read; of others `room` are taken in.
    pub fn new(rows: Vec<PairRow>, room: usize) -> Self {
        let rows = rows.into_iter().map(|row| (row.key.clone(), row)).collect();
        Self { rows, room, ..Self::default() }
    }

    /// Pairs that were not known before.
    pub fn taken_in(&self) -> usize {
        self.taken_in
    }

    /// Pairs that found no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// All pairs.
    pub fn into_rows(self) -> Vec<PairRow> {
        self.rows.into_values().collect()
    }

    /// Pairs that changed since this was last asked.
    pub fn take_changed(&mut self) -> Vec<PairRow> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|key| self.rows.get(key).cloned()).collect()
    }

    /// What events tell. Tests of webhooks tell nothing: their pair may be a placeholder.
    pub fn tell(&mut self, told: &ToldEvents) {
        if told.event == EventName::Test {
            return;
        }
        self.change(&told.key, |row| {
            for at in [told.first_at, told.last_at] {
                row.facts.told(told.event, at, told.success);
            }
            if let Some(event) = told.dispatched {
                watch(&mut row.watched, event);
            }
        });
    }

    /// What a broker knows of a pair, which counts as seen even when that is nothing new.
    pub fn learn(&mut self, key: &PairKey, learned: &Learned) {
        self.change(key, |row| {
            let before = row.facts.says.take();
            row.facts.says = match learned {
                Learned::Trouble(trouble, at) => {
                    Some(BrokerSays::troubled(before, trouble.clone(), *at))
                }
                Learned::Facts(facts) => {
                    row.facts.absorb(facts);
                    match (row.facts.says.take(), before) {
                        (Some(says), Some(before)) => Some(says.after(&before)),
                        (Some(says), None) => Some(says),
                        (None, before) => before.map(BrokerSays::gone),
                    }
                }
            };
        });
        if self.rows.contains_key(key) {
            self.changed.insert(key.clone());
        }
    }

    /// The broker does not name these pairs any more: what it said of them is gone, and what events
    /// told is of no use.
    pub fn forget_unless(&mut self, is_named: impl Fn(&PairKey) -> bool) {
        let gone = self.rows.iter().filter(|(key, row)| row.facts.says.is_some() && !is_named(key));
        let gone: Vec<PairKey> = gone.map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.change(&key, |row| row.facts.says = row.facts.says.take().map(BrokerSays::gone));
        }
    }

    /// Events whose deliveries have to be looked at.
    pub fn watched(&self) -> Vec<EventId> {
        self.rows.values().flat_map(|row| row.watched.iter().copied()).collect()
    }

    /// What became of the deliveries of all watched events; one that is missing is gone.
    pub fn dispatched(&mut self, facts: &[DispatchFact]) {
        let facts: BTreeMap<EventId, &DispatchFact> =
            facts.iter().map(|fact| (fact.event, fact)).collect();
        let keys: Vec<PairKey> = self.rows.keys().cloned().collect();
        for key in keys {
            self.change(&key, |row| settle(row, &facts));
        }
    }

    fn change(&mut self, key: &PairKey, change: impl FnOnce(&mut PairRow)) {
        if !self.rows.contains_key(key) {
            if self.taken_in >= self.room {
                self.refused += 1;
                return;
            }
            self.taken_in += 1;
        }
        let row = self.rows.entry(key.clone()).or_insert_with(|| PairRow {
            key: key.clone(),
            facts: PairFacts::default(),
            watched: Vec::new(),
        });
        let before = row.clone();
        change(row);
        if *row != before {
            self.changed.insert(key.clone());
        }
    }
}

fn watch(watched: &mut Vec<EventId>, event: EventId) {
    if let Err(place) = watched.binary_search(&event) {
        watched.insert(place, event);
        if watched.len() > WATCHED_MOST {
            watched.remove(WATCHED_MOST / 2);
        }
    }
}

/// The newest event stays watched: its deliveries may be replayed.
fn settle(row: &mut PairRow, facts: &BTreeMap<EventId, &DispatchFact>) {
    for fact in row.watched.iter().filter_map(|event| facts.get(event)) {
        if let Some(at) = fact.delivered_at {
            row.facts.dispatched(at);
        }
    }
    let newest = row.watched.last().copied();
    row.watched.retain(|event| {
        let fact = facts.get(event);
        fact.is_some_and(|fact| fact.open) || (Some(*event) == newest && fact.is_some())
    });
}

/// What a broker's matrix says of a pair. A version that nobody verified wants it.
pub(crate) fn facts_of(rows: &[MatrixRow]) -> PairFacts {
    let mut facts = PairFacts::default();
    for verification in rows.iter().filter_map(|row| row.verification.as_ref()) {
        facts.verified(sane(verification.verified_at), Some(verification.success));
    }
    for row in rows {
        facts.published(sane(row.published_at), row.verification.is_none());
    }
    facts
}

/// No broker is older than that.
fn sane(at: Timestamp) -> Timestamp {
    at.max(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
