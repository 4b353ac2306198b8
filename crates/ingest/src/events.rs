//! `POST /events`: one event, an array, JSON lines, a CloudEvent in either mode, or a batch of
//! CloudEvents.

mod cloud;
mod described;
mod form;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod response;

pub(crate) use described::{accepted_example, described};
pub(crate) use response::accepted;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use postrider_api::AcceptedEvent;
use postrider_domain::EventSource;
use postrider_http_server::Problem;
use postrider_http_server::body::{self, Limits};
use postrider_http_server::json::{self, JsonFault};
use postrider_http_server::query;
use postrider_store::EventDocument;
use postrider_telemetry::TraceContext;
use serde_json::Value;

use crate::app::App;
use crate::commit::Candidate;
use crate::events::form::{Form, Piece, Pieces};
use crate::payload::{Hints, Sent, check_key, read_event, read_plain};
use crate::traced;

/// Bytes of one call.
const MAX_CALL: usize = 8 * 1024 * 1024;

/// Bytes of one event.
pub(crate) const MAX_EVENT: usize = 1024 * 1024;

/// Events of a call that are built at a time.
const PART: usize = 500;

/// Events of a call that waits for nobody.
const FEW: usize = 16;

/// Calls of more events that build at once; others wait for their turn.
pub(crate) const BUILDERS: usize = 4;

/// Handles `POST /events`.
pub(crate) async fn post(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    app.is_open()?;
    let caller = app.caller(&request);
    let (Parts { headers, uri, .. }, body) = request.into_parts();
    let source = source_of(uri.query().unwrap_or_default())?;
    let form = Form::of(&headers)?;
    let header_key = idempotency_key(&headers)?;
    let mut permit = app.memory().enter()?;
    let limits = Limits { bytes: MAX_CALL, time: app.config.request_timeout };
    let bytes = body::read(&headers, body, app.memory(), &mut permit, limits).await?;
    let call = Call { form, source, header_key, trace: trace_of(&headers) };
    let Pieces { many, pieces } = form.split(text_of(&bytes)?)?;
    app.count_events(caller, pieces.len())?;
    let answers = call.take(&app, &headers, &pieces).await;
    Ok(response::response(many, answers))
}

/// What the whole call says of each of its events.
struct Call {
    form: Form,
    source: EventSource,
    header_key: Option<String>,
    trace: TraceContext,
}

impl Call {
    /// Takes the events in, in order. Of a large call only a part is built at a time, and only so
    /// many calls build at once: what is built of an event is several times its text.
    async fn take(
        &self,
        app: &App,
        headers: &HeaderMap,
        pieces: &[Piece<'_>],
    ) -> Vec<Result<AcceptedEvent, Problem>> {
        let mut answers = Vec::with_capacity(pieces.len());
        let is_large = pieces.len() > FEW;
        let _place = if is_large { app.builders.acquire().await.ok() } else { None };
        for part in parts(pieces) {
            let read = part.iter().map(|piece| self.read_piece(headers, piece));
            let (candidates, refused) = response::part(read.collect());
            let results = app.committer.submit(candidates).await;
            answers.extend(response::join(refused, results));
        }
        answers
    }

    fn read_piece(&self, headers: &HeaderMap, piece: &Piece<'_>) -> Result<Candidate, Problem> {
        if piece.text.len() > MAX_EVENT {
            let detail = format!("is larger than {} KiB, which is the most for one event", 1024);
            let problem = Problem::bad(piece.pointer(), detail);
            return Err(problem.status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let (sent, cloud_key) = match self.form {
            Form::Json | Form::Lines => (read_text(piece)?, None),
            Form::Cloud | Form::CloudBatch => cloud::structured(&parse(piece)?, &piece.pointer())?,
            Form::CloudBinary => cloud::binary(headers, &parse(piece)?)?,
        };
        self.candidate(sent, cloud_key, piece.index)
    }

    fn candidate(
        &self,
        sent: Sent,
        cloud_key: Option<String>,
        index: Option<usize>,
    ) -> Result<Candidate, Problem> {
        let key = match (&self.header_key, index) {
            (Some(key), None) => Some(format!("header:{key}")),
            (Some(key), Some(index)) => Some(format!("header:{key}/{index}")),
            (None, _) => sent.id.map(|id| format!("id:{id}")).or(cloud_key),
        };
        let event = EventDocument::new(sent.event)?;
        let fingerprint = fingerprint(event.text().as_bytes());
        Ok(Candidate {
            source: self.source,
            key,
            term: None,
            fingerprint,
            event,
            trace: self.trace,
        })
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map(json::without_mark).map_err(|error| {
        let at = error.valid_up_to();
        Problem::bad("", format!("is not valid UTF-8: the bytes at offset {at} are none"))
    })
}

/// The events in parts, each of so many and of so much text.
fn parts<'a, 'b>(pieces: &'b [Piece<'a>]) -> impl Iterator<Item = &'b [Piece<'a>]> {
    let mut rest = pieces;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |piece: &&Piece<'_>| {
            bytes += piece.text.len();
            bytes <= MAX_EVENT
        };
        let count = rest.iter().take(PART).take_while(fits).count().max(1);
        let (part, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(part)
    })
}

fn read_text(piece: &Piece<'_>) -> Result<Sent, Problem> {
    match read_plain(piece.text) {
        Some(sent) => Ok(sent),
        None => read_event(&parse(piece)?, &piece.pointer(), &Hints::default()),
    }
}

fn parse(piece: &Piece<'_>) -> Result<Value, Problem> {
    json::parse(piece.text).map_err(|fault| misread(&piece.pointer(), &fault))
}

fn misread(at: &str, fault: &JsonFault) -> Problem {
    match fault {
        JsonFault::TooDeep(_) | JsonFault::Syntax(_) => Problem::bad(at, fault.to_string()),
        JsonFault::Nul { pointer } => Problem::bad(format!("{at}{pointer}"), fault.to_string()),
    }
}

/// The first 16 bytes of SHA-256 over what makes an event the same: for a sender's own key the
/// event as the store keeps it, so that neither the order of keys nor unknown ones matter.
pub(crate) fn fingerprint(content: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&digest(&SHA256, content).as_ref()[..16]);
    short
}

/// Who reconciles says so; nothing else is asked of the query.
fn source_of(text: &str) -> Result<EventSource, Problem> {
    for pair in query::pairs(text) {
        let (name, value) = pair?;
        if name == "source" {
            return match value.as_str() {
                "reconcile" => Ok(EventSource::Reconcile),
                _ => Err(Problem::bad("", "the parameter source must be reconcile, or left out")),
            };
        }
    }
    Ok(EventSource::Api)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::bad("", "the header Idempotency-Key is given twice: give it once"));
    }
    let text = value.to_str().map_err(|_| "must hold printable ASCII characters only".to_owned());
    let checked = text.and_then(|text| check_key(text).map(|()| text.to_owned()));
    checked
        .map(Some)
        .map_err(|fault| Problem::bad("", format!("the header Idempotency-Key {fault}")))
}

/// The span of the call, or a new trace.
pub(crate) fn trace_of(headers: &HeaderMap) -> TraceContext {
    traced::given(headers).unwrap_or_else(TraceContext::new_root)
}

#[cfg(test)]
mod tests;
