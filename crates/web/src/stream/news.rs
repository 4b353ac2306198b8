//! What is news: pure, over what one look found and what is known from looks before.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::str::FromStr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{DeliveryId, DeliveryStatus};
use postrider_store::DeliveryRow;
use uuid::Uuid;

use super::cursor::Cursor;

/// How far a look goes back behind the one before: transactions end after their instant.
const OVERLAP: SignedDuration = SignedDuration::from_secs(5);
/// What a listener who comes back may have missed.
const MISSED_FOR: SignedDuration = SignedDuration::from_mins(5);
const MISSED: usize = 1_000;
/// Deliveries of fronts that are looked at again, and for how many looks.
const FOLLOWED: usize = 2_000;
const FOLLOWED_FOR: u64 = 120;

/// What is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    Deliveries,
    Lanes,
    Incidents,
    Pairs,
}

impl Topic {
    pub(crate) const ALL: [Self; 4] = [Self::Deliveries, Self::Lanes, Self::Incidents, Self::Pairs];

    /// Its name in queries.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Lanes => "lanes",
            Self::Incidents => "incidents",
            Self::Pairs => "pairs",
        }
    }

    /// What its events are called.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::Deliveries => "delivery",
            Self::Lanes => "lane",
            Self::Incidents => "incident",
            Self::Pairs => "pair",
        }
    }
}

/// Some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Topics([bool; 4]);

impl Default for Topics {
    fn default() -> Self {
        Self([true; 4])
    }
}

impl Topics {
    pub(crate) fn has(self, topic: Topic) -> bool {
        Topic::ALL.into_iter().zip(self.0).any(|(one, is_in)| one == topic && is_in)
    }
}

impl FromStr for Topics {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut topics = [false; 4];
        for name in text.split(',') {
            let place = Topic::ALL.iter().position(|topic| topic.as_str() == name.trim());
            *place.and_then(|place| topics.get_mut(place)).ok_or(())? = true;
        }
        Ok(Self(topics))
    }
}

/// A lane, an incident or a pair as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) topic: Topic,
    /// Which.
    pub(crate) key: String,
    /// What is compared to see whether it changed.
    pub(crate) mark: u64,
    /// When it changed, where that is known.
    pub(crate) changed_at: Option<Timestamp>,
    /// One line of JSON.
    pub(crate) data: String,
}

impl Part {
    /// What changes by itself with time is no part of `compared`.
    pub(crate) fn new(topic: Topic, key: String, compared: &str, data: String) -> Self {
        let mut hasher = DefaultHasher::new();
        compared.hash(&mut hasher);
        Self { topic, key, mark: hasher.finish(), changed_at: None, data }
    }

    pub(crate) fn changed_at(self, at: Option<Timestamp>) -> Self {
        Self { changed_at: at, ..self }
    }
}

/// What one look found.
#[derive(Debug)]
pub(crate) struct Looked {
    /// When, by the database's clock.
    pub(crate) at: Timestamp,
    /// Deliveries that changed, last changed first.
    pub(crate) deliveries: Vec<DeliveryRow>,
    /// Those that stand at the fronts of lanes.
    pub(crate) fronts: Vec<DeliveryId>,
    /// Lanes, incidents and pairs as they stand.
    pub(crate) parts: Vec<Part>,
}

/// Something to tell.
#[derive(Debug, Clone)]
pub(crate) struct News {
    pub(crate) topic: Topic,
    /// What filters look at.
    pub(crate) delivery: Option<DeliveryRow>,
    /// One line of JSON.
    pub(crate) data: String,
}

/// News with their place.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) news: Arc<News>,
    pub(crate) cursor: Cursor,
}

/// What one look brought.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) entries: Vec<Entry>,
    /// Behind all of it.
    pub(crate) end: Cursor,
}

/// What was seen by the looks before.
#[derive(Debug, Default)]
pub(crate) struct Known {
    at: Option<Timestamp>,
    looks: u64,
    told: HashMap<DeliveryId, Timestamp>,
    parts: HashMap<(Topic, String), u64>,
    followed: HashMap<DeliveryId, u64>,
}

impl Known {
    /// How far the next look has to go back.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.at.map(overlapping)
    }

    /// Deliveries that the next look should look at again.
    pub(crate) fn followed(&self) -> Vec<DeliveryId> {
        self.followed.keys().copied().collect()
    }

    /// What is new in it, oldest first. The first look has nothing to compare with.
    pub(crate) fn take(
        &mut self,
        looked: &Looked,
        tell: impl Fn(&DeliveryRow) -> String,
    ) -> Vec<News> {
        let is_first = self.at.is_none();
        let mut news = Vec::new();
        for row in looked.deliveries.iter().rev() {
            if self.told.insert(row.id, row.updated_at) != Some(row.updated_at) && !is_first {
                news.push(delivery(row, &tell));
            }
        }
        for part in &looked.parts {
            let before = self.parts.insert((part.topic, part.key.clone()), part.mark);
            if before != Some(part.mark) && !is_first {
                news.push(News { topic: part.topic, delivery: None, data: part.data.clone() });
            }
        }
        self.remember(looked);
        news
    }

    fn remember(&mut self, looked: &Looked) {
        self.looks += 1;
        // A look never goes back further than the overlap; twice that much is kept.
        let oldest = overlapping(overlapping(looked.at));
        self.told.retain(|_, updated| *updated >= oldest);
        self.followed.extend(looked.fronts.iter().map(|id| (*id, self.looks)));
        for row in &looked.deliveries {
            if is_final(row.status) {
                self.followed.remove(&row.id);
            }
        }
        let mut kept = FOLLOWED_FOR;
        loop {
            let from = self.looks.saturating_sub(kept);
            self.followed.retain(|_, seen| *seen > from);
            if self.followed.len() <= FOLLOWED || kept == 1 {
                break;
            }
            kept /= 2;
        }
        self.at = self.at.max(Some(looked.at));
    }
}

fn is_final(status: DeliveryStatus) -> bool {
    match status {
        DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Discarded => true,
        DeliveryStatus::Queued | DeliveryStatus::Retrying | DeliveryStatus::Held => false,
    }
}

fn delivery(row: &DeliveryRow, tell: impl Fn(&DeliveryRow) -> String) -> News {
    News { topic: Topic::Deliveries, data: tell(row), delivery: Some(row.clone()) }
}

/// From where on to look for what is not known to be seen until `at`.
pub(crate) fn overlapping(at: Timestamp) -> Timestamp {
    at.saturating_sub(OVERLAP).unwrap_or(at)
}

/// What a listener who was away has missed.
#[derive(Debug)]
pub(crate) enum Missed {
    /// These.
    Entries(Vec<Entry>),
    /// Too much: it should read everything anew.
    TooMuch,
    /// The poller that told it is not this one.
    Unknown,
}

/// What was told lately.
#[derive(Debug)]
pub(crate) struct Past {
    entries: VecDeque<Entry>,
    end: Cursor,
}

impl Past {
    /// Of a poller that looked at `at` for the first time.
    pub(crate) fn new(hub: Uuid, at: Timestamp) -> Self {
        Self { entries: VecDeque::new(), end: Cursor { at, hub, number: 0 } }
    }

    /// Behind everything that was told.
    pub(crate) fn end(&self) -> Cursor {
        self.end
    }

    /// Numbers what one look found; it is the past from now on.
    pub(crate) fn add(&mut self, news: Vec<News>, at: Timestamp) -> Arc<Round> {
        self.end.at = self.end.at.max(at);
        let mut entries = Vec::with_capacity(news.len());
        for news in news {
            self.end.number += 1;
            entries.push(Entry { news: Arc::new(news), cursor: self.end });
        }
        self.entries.extend(entries.iter().cloned());
        let oldest = self.end.at.saturating_sub(MISSED_FOR).unwrap_or(Timestamp::MIN);
        while self.entries.len() > MISSED
            || self.entries.front().is_some_and(|entry| entry.cursor.at < oldest)
        {
            self.entries.pop_front();
        }
        Arc::new(Round { entries, end: self.end })
    }

    /// What was told behind a cursor.
    pub(crate) fn after(&self, last: Cursor) -> Missed {
        if self.end.at.duration_since(last.at) > MISSED_FOR {
            return Missed::TooMuch;
        }
        if last.hub != self.end.hub {
            return Missed::Unknown;
        }
        let oldest = self.entries.front().map_or(self.end.number, |entry| entry.cursor.number - 1);
        if last.number < oldest {
            return Missed::TooMuch;
        }
        let behind = self.entries.iter().filter(|entry| entry.cursor.number > last.number);
        Missed::Entries(behind.cloned().collect())
    }
}

/// What changed since a cursor of another poller, as one look back finds it. Of lanes nobody knows
/// when they changed: all are told.
pub(crate) fn since(
    looked: &Looked,
    last: Timestamp,
    tell: impl Fn(&DeliveryRow) -> String,
    end: Cursor,
) -> Missed {
    let from = overlapping(last);
    let parts = looked.parts.iter();
    let parts = parts.filter(|part| part.changed_at.is_none_or(|changed| changed >= from));
    let count = looked.deliveries.len() + parts.clone().count();
    if count > MISSED {
        return Missed::TooMuch;
    }
    let deliveries = looked.deliveries.iter().rev().map(|row| delivery(row, &tell));
    let parts =
        parts.map(|part| News { topic: part.topic, delivery: None, data: part.data.clone() });
    let entry = |news| Entry { news: Arc::new(news), cursor: end };
    Missed::Entries(deliveries.chain(parts).map(entry).collect())
}
