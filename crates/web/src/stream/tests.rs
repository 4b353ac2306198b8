//! The service with a source that is told what to find.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt as _;
use postrider_domain::{DeliveryId, DeliveryStatus, EventId, EventName, Outcome, WebhookUuid};

use super::*;

/// What the next looks find.
#[derive(Debug, Default)]
struct Script {
    looks: AtomicUsize,
    deliveries: Mutex<Vec<DeliveryRow>>,
    parts: Mutex<Vec<Part>>,
}

#[derive(Debug, Clone, Default)]
struct Scripted(Arc<Script>);

impl Scripted {
    fn put(&self, lane: &str) {
        self.put_all([lane.to_owned()]);
    }

    /// All in one look.
    fn put_all(&self, lanes: impl IntoIterator<Item = String>) {
        self.0.deliveries.lock().unwrap().extend(lanes.into_iter().map(|lane| row(&lane)));
    }

    fn lane(&self, state: &str) {
        let data = format!("{{\"state\":\"{state}\"}}");
        let part = Part::new(Topic::Lanes, "lane".to_owned(), &data, data.clone());
        *self.0.parts.lock().unwrap() = vec![part];
    }
}

impl Source for Scripted {
    async fn look(&self, since: Since<'_>) -> Result<Looked, StoreError> {
        self.0.looks.fetch_add(1, Ordering::SeqCst);
        let from = since.at.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut deliveries = self.0.deliveries.lock().unwrap().clone();
        deliveries.retain(|row| row.updated_at > from);
        deliveries.sort_by_key(|row| std::cmp::Reverse(row.updated_at));
        let parts = self.0.parts.lock().unwrap().clone();
        Ok(Looked { at: Timestamp::now(), deliveries, fronts: Vec::new(), parts })
    }

    fn tell(&self, row: &DeliveryRow) -> String {
        format!("{{\"lane\":\"{}\"}}", row.lane)
    }
}

fn row(lane: &str) -> DeliveryRow {
    DeliveryRow {
        id: DeliveryId(Uuid::now_v7()),
        event_id: EventId(Uuid::now_v7()),
        event_name: EventName::ContractPublished,
        broker: "default".to_owned(),
        webhook_uuid: "2LCteR1tS9v0HLxPmpkNaA".parse::<WebhookUuid>().unwrap(),
        consumer: "C".to_owned(),
        provider: "P".to_owned(),
        consumer_version: String::new(),
        status: DeliveryStatus::Delivered,
        lane: lane.to_owned(),
        attempts: 1,
        last_outcome: Some(Outcome::Accepted),
        last_status_code: Some(204),
        next_attempt_at: None,
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

fn listener() -> Listener {
    Listener {
        who: Some("ci".to_owned()),
        topics: Topics::default(),
        filter: DeliveryFilter::default(),
        last: None,
        token_end: None,
    }
}

fn streams() -> (Streams, CancellationToken) {
    let stopping = CancellationToken::new();
    let (look, beat) = (Duration::from_millis(10), Duration::from_millis(100));
    let pace = Pace { look, beat, ..Pace::default() };
    (Streams { pace, ..Streams::new(TaskTracker::new(), stopping.clone()) }, stopping)
}

/// A stream that is read frame by frame.
struct Reading {
    body: BodyDataStream,
    text: String,
}

impl Reading {
    fn of(body: Body) -> Self {
        Self { body: body.into_data_stream(), text: String::new() }
    }

    /// Everything up to and with the first place at which `wanted` stands.
    async fn until(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.text.find(wanted) {
                let rest = self.text.split_off(at + wanted.len());
                return std::mem::replace(&mut self.text, rest);
            }
            let chunk = tokio::time::timeout(Duration::from_mins(1), self.body.next()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", self.text));
            let chunk =
                chunk.unwrap_or_else(|| panic!("ended without {wanted:?}: {:?}", self.text));
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    /// The last id up to the first place at which `wanted` stands.
    async fn cursor(&mut self, wanted: &str) -> Cursor {
        let text = self.until(wanted).await + &self.until("\n\n").await;
        let last = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap();
        Cursor::read(last).unwrap()
    }
}

#[tokio::test]
async fn what_changes_is_told_once_and_only_to_those_who_want_it() {
    let (source, (streams, _stopping)) = (Scripted::default(), streams());
    source.put("before");
    source.lane("open");
    let narrow = DeliveryFilter { lane: Some("wanted".to_owned()), ..DeliveryFilter::default() };
    let narrow = Listener { filter: narrow, ..listener() };
    let lanes = Listener { topics: "lanes".parse().unwrap(), ..listener() };
    let mut narrow = Reading::of(streams.open(source.clone(), narrow).await.unwrap());
    let mut lanes = Reading::of(streams.open(source.clone(), lanes).await.unwrap());
    assert!(narrow.until("\n\n").await.starts_with("retry: 3000\n"));
    source.put("other");
    source.put("wanted");
    let told = narrow.until(": hb").await;
    assert_eq!(told.matches("event: delivery").count(), 1, "{told}");
    assert!(told.contains("data: {\"lane\":\"wanted\"}\n"), "{told}");
    source.lane("held");
    let told = lanes.until("data: {\"state\":\"held\"}\n\n").await;
    assert_eq!((told.matches("event: lane").count(), told.matches("delivery").count()), (1, 0));
    narrow.until("data: {\"state\":\"held\"}").await;
}

#[tokio::test]
async fn nobody_listens_and_nothing_is_read() {
    let (source, (streams, _stopping)) = (Scripted::default(), streams());
    let mut reading = Reading::of(streams.open(source.clone(), listener()).await.unwrap());
    reading.until(": hb").await;
    assert!(source.0.looks.load(Ordering::SeqCst) > 1);
    drop(reading);
    let until = Instant::now() + Duration::from_mins(1);
    while streams.hub.lock().await.is_some() {
        assert!(Instant::now() < until, "the poller goes on");
        tokio::task::yield_now().await;
    }
    // And begins again.
    source.put("before");
    let mut reading = Reading::of(streams.open(source.clone(), listener()).await.unwrap());
    source.put("again");
    let told = reading.until("\"again\"").await;
    assert!(!told.contains("\"before\""), "{told}");
}

#[tokio::test]
async fn who_comes_back_goes_on_at_any_replica_or_begins_anew() {
    let (source, (here, _stopping)) = (Scripted::default(), streams());
    let (there, _stopping) = streams();
    let mut held = Reading::of(here.open(source.clone(), listener()).await.unwrap());
    let mut first = Reading::of(here.open(source.clone(), listener()).await.unwrap());
    source.put("one");
    let last = first.cursor("\"one\"").await;
    drop(first);
    source.put("two");
    held.until("\"two\"").await;
    let back = || Listener { last: Some(last), ..listener() };
    let mut again = Reading::of(here.open(source.clone(), back()).await.unwrap());
    let told = again.until("\"two\"").await;
    assert!(!told.contains("\"one\"") && !told.contains("reset"), "{told}");
    let mut other = Reading::of(there.open(source.clone(), back()).await.unwrap());
    let told = other.until("\"two\"").await;
    assert!(!told.contains("reset"), "{told}");
    let old = Cursor { at: last.at - jiff::SignedDuration::from_mins(6), ..last };
    for last in [Cursor::LOST, old] {
        let stranger = Listener { last: Some(last), ..listener() };
        let mut anew = Reading::of(here.open(source.clone(), stranger).await.unwrap());
        let told = anew.until("event: reset").await;
        assert!(!told.contains("delivery"), "{told}");
        source.put("after");
        anew.until("\"after\"").await;
    }
}

#[tokio::test]
async fn too_many_in_a_second_are_counted_and_too_many_unread_begin_anew() {
    let (source, (streams, _stopping)) = (Scripted::default(), streams());
    let mut reading = Reading::of(streams.open(source.clone(), listener()).await.unwrap());
    let mut idle = Reading::of(streams.open(source.clone(), listener()).await.unwrap());
    reading.until("\n\n").await;
    source.put_all((0..70).map(|number| format!("lane {number}")));
    let told = reading.until("\"lane 69\"").await;
    assert!(told.contains("event: skipped\ndata: {\"deliveries\":20}\n\n"), "{told}");
    assert_eq!(told.matches("event: delivery").count(), 50, "{told}");
    assert!(!told.contains("\"lane 19\"") && told.contains("\"lane 20\""), "{told}");
    // One does not read: 50 in each of seven rounds are more than 256.
    for round in 0..6 {
        source.put_all((0..50).map(|number| format!("{round}/{number}")));
        reading.until(&format!("\"{round}/49\"")).await;
    }
    let told = idle.until("event: reset").await;
    assert!(!told.contains("5/49"), "{told}");
}

#[tokio::test]
async fn streams_end_with_a_reason() {
    let (source, (mut streams, stopping)) = (Scripted::default(), streams());
    streams.pace.longest = Duration::from_secs(1);
    let soon = TokenEnd(Instant::now() + Duration::from_millis(100));
    let short = Listener { token_end: Some(soon), ..listener() };
    let mut short = Reading::of(streams.open(source.clone(), short).await.unwrap());
    let mut long = Reading::of(streams.open(source.clone(), listener()).await.unwrap());
    short.until("event: bye\ndata: {\"reason\":\"token_ended\"}\n\n").await;
    assert!(short.body.next().await.is_none());
    long.until("event: bye\ndata: {\"reason\":\"max_age\"}\n\n").await;
    assert!(long.body.next().await.is_none());
    streams.pace.longest = Duration::from_hours(1);
    let mut last = Reading::of(streams.open(source, listener()).await.unwrap());
    last.until("\n\n").await;
    stopping.cancel();
    last.until("event: bye\ndata: {\"reason\":\"shutdown\"}\n\n").await;
    assert!(last.body.next().await.is_none());
}

#[tokio::test]
async fn a_token_has_ten_streams() {
    let (source, (streams, _stopping)) = (Scripted::default(), streams());
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(streams.open(source.clone(), listener()).await.unwrap());
    }
    let refused = streams.open(source.clone(), listener()).await;
    assert!(matches!(refused, Err(Refused::Crowded(Crowded::Token))), "{refused:?}");
    held.pop();
    held.push(streams.open(source, listener()).await.unwrap());
}
