//! What reached the double: entries up to a bound, counts that are exact beyond it.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes of bodies that the journal keeps at most; then the oldest entries go.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of one body that are kept.
pub(crate) const BODY_KEPT: usize = 64 * 1024;
/// Delivery ids that are remembered to find duplicates (16 bytes each).
const DISTINCT_MAX: usize = 10_000_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Place in the order of arrival, from 1.
    pub seq: u64,
    /// Arrival, since the double was started.
    #[serde(rename = "at_us", with = "micros")]
    pub at: Duration,
    /// HTTP method.
    pub method: String,
    /// Path without its query.
    pub path: String,
    /// What kind of call it was.
    pub kind: Kind,
    /// `owner/repo` of a GitHub call.
    pub repo: Option<String>,
    /// Name of the hook called.
    pub hook: Option<String>,
    /// What became of the token; never the token itself.
    pub token: TokenSeen,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `event_type` of a repository dispatch.
    pub event_type: Option<String>,
    /// Delivery id: `client_payload.delivery_id`, `inputs.delivery_id` or `delivery_id` of the
    /// body, else header `x-postrider-delivery-id`.
    pub delivery_id: Option<String>,
    /// A few headers that hold no secret: content negotiation, trace context, webhook signature.
    pub headers: Vec<(String, String)>,
    /// Body, its first 64 KiB, accepted tokens starred; `None` when bodies are not kept.
    pub body: Option<String>,
    /// Status code answered, `None` if there was no answer.
    pub status: Option<u16>,
    /// How the exchange ended on the double's side.
    pub ending: Ending,
    /// The double carried the request out: GitHub would now start workflows, or the hook was
    /// answered with 2xx. Also true if the answer got lost.
    pub accepted: bool,
}

/// Kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `repository_dispatch` or `workflow_dispatch`.
    Dispatch,
    /// A call to `/hook/{name}`.
    Hook,
    /// A read that the double knows.
    Read,
    /// What an app asks as itself: for its installation, for a token.
    App,
    /// Anything else.
    Other,
}

/// What the double made of the request's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSeen {
    /// No `Authorization`, or not in a form that GitHub knows.
    Missing,
    /// Never accepted.
    Unknown,
    /// Was accepted earlier. The number counts tokens in the order in which they were first
    /// accepted, from 0.
    Dead(usize),
    /// Accepted; number as in `Dead`.
    Accepted(usize),
}

/// How an exchange ended on the double's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Answered, perhaps later or slowly.
    Answered,
    /// Connection reset.
    Reset,
    /// Connection closed without an answer.
    Cut,
    /// Nothing was answered, the connection was left open.
    Silent,
}

/// Totals since the start or the last reset. Exact, whatever the journal has forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All requests but those to the control interface.
    pub requests: u64,
    /// `repository_dispatch` and `workflow_dispatch` calls.
    pub dispatches: u64,
    /// Calls to `/hook/{name}`.
    pub hooks: u64,
    /// Reads that the double knows.
    pub reads: u64,
    /// Everything else, what apps ask as themselves among it.
    pub others: u64,
    /// Requests carried out (see [`Entry::accepted`]).
    pub accepted: u64,
    /// Different delivery ids among the accepted.
    pub distinct: u64,
    /// Accepted requests whose delivery id had been accepted before.
    pub duplicates: u64,
    /// Accepted requests without a delivery id.
    pub without_id: u64,
    /// Answers with 401.
    pub unauthorized: u64,
    /// Requests over the limit.
    pub violations: u64,
    /// Requests refused because their token is banned.
    pub refused_banned: u64,
    /// Entries that the journal has forgotten.
    pub forgotten: u64,
    /// Accepted ids that no longer fitted into the set, so that a duplicate may be missed.
    pub unremembered: u64,
    /// Lines that could not be written to the journal file.
    pub unwritten: u64,
}

pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    capacity: usize,
    body_bytes: usize,
    next_seq: u64,
    accepted_ids: HashSet<u128>,
    counts: Counts,
    file: Option<File>,
}

impl Journal {
    pub(crate) fn open(capacity: usize, file: Option<&Path>) -> io::Result<Self> {
        let file = file.map(|path| File::options().create(true).append(true).open(path));
        Ok(Self {
            entries: VecDeque::new(),
            capacity,
            body_bytes: 0,
            next_seq: 1,
            accepted_ids: HashSet::new(),
            counts: Counts::default(),
            file: file.transpose()?,
        })
    }

    /// Takes an entry in, gives it its number and counts it.
    pub(crate) fn record(&mut self, mut entry: Entry) {
        entry.seq = self.next_seq;
        self.next_seq += 1;
        self.count(&entry);
        self.write(&entry);
        self.keep(entry);
    }

    fn count(&mut self, entry: &Entry) {
        let counts = &mut self.counts;
        counts.requests += 1;
        match entry.kind {
            Kind::Dispatch => counts.dispatches += 1,
            Kind::Hook => counts.hooks += 1,
            Kind::Read => counts.reads += 1,
            Kind::App | Kind::Other => counts.others += 1,
        }
        if entry.status == Some(401) {
            counts.unauthorized += 1;
        }
        if entry.accepted {
            counts.accepted += 1;
            self.count_id(entry.delivery_id.as_deref());
        }
    }

    fn count_id(&mut self, id: Option<&str>) {
        let Some(id) = id else {
            self.counts.without_id += 1;
            return;
        };
        let key = id_key(id);
        if self.accepted_ids.contains(&key) {
            self.counts.duplicates += 1;
        } else if self.accepted_ids.len() < DISTINCT_MAX {
            self.accepted_ids.insert(key);
            self.counts.distinct += 1;
        } else {
            self.counts.unremembered += 1;
        }
    }

    /// One `write` per line: it reaches the page cache at once, so it survives a kill of the
    /// process and other processes read whole lines.
    fn write(&mut self, entry: &Entry) {
        let Some(file) = &mut self.file else { return };
        let written = serde_json::to_vec(entry).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            file.write_all(&line)
        });
        if let Err(error) = written {
            self.counts.unwritten += 1;
            tracing::warn!(%error, "journal line not written");
        }
    }

    fn keep(&mut self, entry: Entry) {
        self.body_bytes += body_len(&entry);
        self.entries.push_back(entry);
        while self.entries.len() > self.capacity || self.body_bytes > BODY_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.body_bytes -= body_len(&oldest);
            self.counts.forgotten += 1;
        }
    }

    /// Whether entries leave the process at all; if not, their text need not be gathered.
    pub(crate) fn keeps_entries(&self) -> bool {
        self.capacity > 0 || self.file.is_some()
    }

    pub(crate) fn counts_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Entries from number `from` on, at most `limit`.
    pub(crate) fn entries(&self, from: u64, limit: usize) -> Vec<Entry> {
        let start = self.entries.partition_point(|entry| entry.seq < from);
        self.entries.range(start..).take(limit).cloned().collect()
    }

    pub(crate) fn accepted(&self) -> Vec<Entry> {
        let accepted = self.entries.iter().filter(|entry| entry.accepted);
        accepted.cloned().collect()
    }

    /// Forgets entries, ids and counts. Numbers go on, and the file keeps its lines.
    pub(crate) fn reset(&mut self) {
        self.entries.clear();
        self.body_bytes = 0;
        self.accepted_ids.clear();
        self.counts = Counts::default();
    }
}

fn body_len(entry: &Entry) -> usize {
    entry.body.as_ref().map_or(0, String::len)
}

/// A UUID is its own key; any other id is hashed to 128 bits.
fn id_key(id: &str) -> u128 {
    Uuid::try_parse(id).map_or_else(
        |_| u128::from(hash(0, id)) << 64 | u128::from(hash(1, id)),
        |uuid| uuid.as_u128(),
    )
}

fn hash(salt: u8, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (salt, id).hash(&mut hasher);
    hasher.finish()
}

/// Durations as whole microseconds.
mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(at.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests;
