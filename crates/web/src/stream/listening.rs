//! One stream: what is written, when it pauses, how it ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use postrider_store::DeliveryFilter;
use serde_json::json;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cursor::Cursor;
use super::news::{Entry, Missed, Round, Topic, Topics};
use super::places::Place;

/// How often things happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The store is looked at. A look that takes long is made less often.
    pub(crate) look: Duration,
    /// A comment is sent, so that whoever is between sees life.
    pub(crate) beat: Duration,
    /// No stream lasts longer; the listener comes back.
    pub(crate) longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            beat: Duration::from_secs(15),
            longest: Duration::from_hours(1),
        }
    }
}

/// Deliveries told in one round.
const DELIVERIES: usize = 50;
/// Events that wait to be written; more, and the listener begins anew.
const WAITING: usize = 256;

/// When a listener's token ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenEnd(pub(crate) Instant);

/// Why a stream ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Shutdown,
    MaxAge,
    TokenEnded,
    Restarted,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::MaxAge => "max_age",
            Self::TokenEnded => "token_ended",
            Self::Restarted => "restarted",
        }
    }
}

/// What happens next on a stream.
enum Step {
    Round(Arc<Round>),
    Behind,
    Beat,
    Over(End),
}

/// A listener.
#[derive(Debug)]
pub(crate) struct Listening {
    rounds: broadcast::Receiver<Arc<Round>>,
    topics: Topics,
    filter: DeliveryFilter,
    /// Everything until here was told, or is not for this listener.
    cursor: Cursor,
    waiting: VecDeque<String>,
    pace: Pace,
    beat: Instant,
    max_age: Instant,
    token_end: Option<TokenEnd>,
    stopping: CancellationToken,
    is_over: bool,
    _place: Option<Place>,
}

impl Listening {
    /// From `cursor` on.
    pub(crate) fn new(
        rounds: broadcast::Receiver<Arc<Round>>,
        wanted: (Topics, DeliveryFilter),
        cursor: Cursor,
        pace: Pace,
    ) -> Self {
        let (topics, filter) = wanted;
        let now = Instant::now();
        Self {
            rounds,
            topics,
            filter,
            cursor,
            waiting: VecDeque::from(["retry: 3000\n\n".to_owned()]),
            pace,
            beat: now + pace.beat,
            max_age: now + pace.longest,
            token_end: None,
            stopping: CancellationToken::new(),
            is_over: false,
            _place: None,
        }
    }

    /// What ends it beside its age.
    pub(crate) fn ends(&mut self, stopping: CancellationToken, token_end: Option<TokenEnd>) {
        self.stopping = stopping;
        self.token_end = token_end;
    }

    /// Its place is free when it is dropped.
    pub(crate) fn holding(self, place: Place) -> Self {
        Self { _place: Some(place), ..self }
    }

    /// What the listener missed comes first, whole.
    pub(crate) fn catch_up(&mut self, missed: Missed) {
        match missed {
            Missed::Entries(entries) => {
                let wanted: Vec<_> = entries.iter().filter(|entry| self.wants(entry)).collect();
                let frames: Vec<_> = wanted.into_iter().map(told).collect();
                self.waiting.extend(frames);
            }
            Missed::TooMuch | Missed::Unknown => self.reset(),
        }
        self.waiting.push_back(format!("id: {}\n\n", self.cursor));
    }

    /// What is written next; nothing when it is over.
    pub(crate) async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if !self.waiting.is_empty() {
                let text: String = self.waiting.drain(..).collect();
                return Some((Ok(Bytes::from(text)), self));
            }
            if self.is_over {
                return None;
            }
            match self.step().await {
                Step::Round(round) => self.take(&round),
                Step::Behind => self.reset(),
                Step::Beat => {
                    self.waiting.push_back(format!(": hb\nid: {}\n\n", self.cursor));
                    self.beat = Instant::now() + self.pace.beat;
                }
                Step::Over(end) => {
                    let reason = json!({"reason": end.as_str()});
                    self.waiting.push_back(format!("event: bye\ndata: {reason}\n\n"));
                    self.is_over = true;
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        let token_end = self.token_end.map_or(self.max_age, |TokenEnd(at)| at);
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Step::Over(End::Shutdown),
            () = tokio::time::sleep_until(token_end), if self.token_end.is_some() => {
                Step::Over(End::TokenEnded)
            }
            () = tokio::time::sleep_until(self.max_age) => Step::Over(End::MaxAge),
            () = tokio::time::sleep_until(self.beat) => Step::Beat,
            round = self.rounds.recv() => match round {
                Ok(round) => Step::Round(round),
                Err(RecvError::Lagged(_)) => Step::Behind,
                Err(RecvError::Closed) => Step::Over(End::Restarted),
            },
        }
    }

    /// A round, and those that came while nobody read: the newest deliveries win.
    fn take(&mut self, first: &Round) {
        self.tell(first);
        while let Ok(round) = self.rounds.try_recv() {
            self.tell(&round);
        }
        if self.waiting.len() > WAITING {
            self.reset();
        }
    }

    fn tell(&mut self, round: &Round) {
        let wanted: Vec<&Entry> = round.entries.iter().filter(|entry| self.wants(entry)).collect();
        let is_delivery = |entry: &&&Entry| entry.news.topic == Topic::Deliveries;
        let deliveries = wanted.iter().filter(is_delivery).count();
        let mut skip = deliveries.saturating_sub(DELIVERIES);
        if skip > 0 {
            let skipped = json!({"deliveries": skip});
            self.waiting.push_back(format!("event: skipped\ndata: {skipped}\n\n"));
        }
        for entry in wanted {
            if entry.news.topic == Topic::Deliveries && skip > 0 {
                skip -= 1;
            } else {
                self.waiting.push_back(told(entry));
            }
        }
        self.cursor = round.end;
    }

    fn wants(&self, entry: &Entry) -> bool {
        let is_named = |row| self.filter.names(row);
        self.topics.has(entry.news.topic) && entry.news.delivery.as_ref().is_none_or(is_named)
    }

    /// The listener reads everything anew; what was to be told is part of it.
    fn reset(&mut self) {
        self.waiting.retain(|frame| frame.starts_with("retry:"));
        self.waiting.push_back(format!("event: reset\nid: {}\ndata: {{}}\n\n", self.cursor));
    }
}

fn told(entry: &Entry) -> String {
    let mut frame = String::with_capacity(entry.news.data.len() + 100);
    let (event, data) = (entry.news.topic.event(), &entry.news.data);
    // Writing to a text can't fail.
    write!(frame, "event: {event}\nid: {}\ndata: {data}\n\n", entry.cursor).ok();
    frame
}
