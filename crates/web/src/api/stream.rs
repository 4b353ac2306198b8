//! `GET /api/v1/stream`: what happens, as server-sent events.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use jiff::Timestamp;
use postrider_api::{DeliveryFilter, StreamQuery};
use postrider_domain::DeliveryId;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_http_server::{Problem, SignedIn};
use postrider_store::{DeliveryRow, IncidentFilter, PairFilter, StoreError};
use serde::Serialize;
use serde_json::json;

use crate::api::params::{Params, wrong};
use crate::api::{deliveries, filter, freshness, incidents, lanes};
use crate::app::App;
use crate::stream::{
    Cursor, Listener, Looked, Part, Refused, Since, Source, TokenEnd, Topic, Topics,
};

/// Incidents, pairs and lanes that are watched.
const WATCHED: u32 = 1_000;
/// Seconds after which a refused listener may ask again.
const AGAIN: u16 = 30;
const LAST_EVENT_ID: &str = "last-event-id";

/// `GET /api/v1/stream`.
pub(super) async fn listen(
    State(app): State<App>,
    signed_in: Option<Extension<SignedIn>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let (tokens, key) = (&app.config.tokens, &app.config.master_key);
    let who = (!tokens.is_empty()).then(|| match signed_in {
        Some(Extension(signed_in)) => signed_in.name().to_owned(),
        None => tokens.who(&headers, |token| key.short_hash(token)),
    });
    open(&app, &headers, &uri, who, None).await
}

/// A stream for whoever was let in: `who` counts streams, `token_end` ends this one. The query and
/// `Last-Event-ID` say what is told.
pub(crate) async fn open(
    app: &App,
    headers: &HeaderMap,
    uri: &Uri,
    who: Option<String>,
    token_end: Option<TokenEnd>,
) -> Result<Response, Problem> {
    let params = Params::of(uri, &[DeliveryFilter::NAMES, StreamQuery::NAMES])?;
    let topics = match params.get("topics") {
        None => Topics::default(),
        Some(text) => text.parse().map_err(|()| {
            let names = Topic::ALL.map(Topic::as_str).join(", ");
            wrong("topics", format!("must name some of {names}, with commas between"))
        })?,
    };
    let now = Timestamp::now();
    let filter = filter::filter(|name| params.get(name), wrong, app.store(), now).await?;
    // What is no cursor of ours can't be gone on from: the listener begins anew.
    let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
    let last = last.map(|text| Cursor::read(text).unwrap_or(Cursor::LOST));
    let listener = Listener { who, topics, filter, last, token_end };
    let body = app.streams.open(Store(app.clone()), listener).await.map_err(refused)?;
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store, no-transform"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::Store(error) => error.into(),
        Refused::Crowded(crowded) => Problem::new(StatusCode::TOO_MANY_REQUESTS, crowded.detail())
            .header(header::RETRY_AFTER, HeaderValue::from(AGAIN)),
    }
}

pub(super) fn listen_described() -> Operation {
    let text = json!({"type": "string", "description": "Server-sent events."});
    let last = json!({"type": "string"});
    Operation::new(Tag::Operations, "listen", "Follow what happens")
        .description(
            "Events `delivery`, `lane`, `incident` and `pair` with an entry of the list as data; \
             `skipped` says how many deliveries were left out, `reset` that everything should be \
             read anew, `bye` why the stream ends. 10 streams a token, 100 a process.",
        )
        .query::<StreamQuery>()
        .query::<DeliveryFilter>()
        .knows::<DeliveryFilter>()
        .header(
            "Last-Event-ID",
            "The last id that was seen: what came since is told first. It may be up to five \
             minutes and 1,000 entries old, and come from another replica.",
            &last,
        )
        .answers_as(200, "What happens from now on.", "text/event-stream", &text)
        .answers_nothing(429, "There are too many streams.")
        .answers_header(429, "Retry-After", "Seconds.")
}

/// The store, read for all who listen.
struct Store(App);

impl Source for Store {
    async fn look(&self, since: Since<'_>) -> Result<Looked, StoreError> {
        let store = self.0.store();
        let now = Timestamp::now();
        let (lanes, busy) = lanes::all(&self.0, now).await?;
        let fronts = store.lane_fronts(&busy).await?;
        let (at, deliveries) = self.deliveries(since, &fronts).await?;
        let all = IncidentFilter::default();
        let incidents = store.incidents(all, None, WATCHED).await?.incidents;
        let pairs = store.pairs(&PairFilter::default(), None, WATCHED).await?;
        let pairs = freshness::documents(&self.0, pairs, now).await?;
        let watched = usize::try_from(WATCHED).unwrap_or(usize::MAX);
        let mut parts = Vec::new();
        for lane in lanes.into_iter().take(watched) {
            let data = line(&lane);
            parts.push(Part::new(Topic::Lanes, lane.name, &data, data.clone()));
        }
        for incident in incidents.into_iter().map(incidents::document) {
            let data = line(&incident);
            let changed = incident.acknowledged_at.max(Some(incident.updated_at));
            let part = Part::new(Topic::Incidents, incident.id.to_string(), &data, data.clone());
            parts.push(part.changed_at(changed));
        }
        for (key, mut pair) in pairs {
            let data = line(&pair);
            let changed = pair.last_publication.max(pair.last_dispatch).max(pair.last_verification);
            pair.age_seconds = None;
            let part = Part::new(Topic::Pairs, key.to_string(), &line(&pair), data);
            parts.push(part.changed_at(changed.or(Some(Timestamp::UNIX_EPOCH))));
        }
        Ok(Looked { at, deliveries, fronts, parts })
    }

    fn tell(&self, row: &DeliveryRow) -> String {
        line(&deliveries::document(row.clone()))
    }
}

impl Store {
    /// From now on: what changed just before was not missed, but must be known not to be news.
    async fn deliveries(
        &self,
        since: Since<'_>,
        fronts: &[DeliveryId],
    ) -> Result<(Timestamp, Vec<DeliveryRow>), StoreError> {
        let store = self.0.store();
        let at = match since.at {
            Some(at) => at,
            None => crate::stream::overlapping(store.now().await?),
        };
        let also: Vec<DeliveryId> = since.also.iter().chain(fronts).copied().collect();
        store.changed_deliveries(at, &also).await
    }
}

/// JSON in one line.
fn line(document: &impl Serialize) -> String {
    // Documents of the API are JSON.
    serde_json::to_string(document).unwrap_or_default()
}
