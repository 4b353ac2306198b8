//! `POST /events`: one event, an array, JSON lines, a CloudEvent in either mode, or a batch of
//! CloudEvents.

mod answer;
mod cloud;
mod form;

pub(crate) use answer::accepted;
pub(crate) use form::media_type;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use postrider_telemetry::TraceContext;
use serde::Serialize;

use crate::body::{self, Limits, Room, Share};
use crate::commit::Candidate;
use crate::events::form::{Form, Piece, Pieces};
use crate::json::{self, JsonFault};
use crate::payload::{Hints, Sent, check_key, read_event};
use crate::problem::Problem;
use crate::server::App;
use crate::traced;

/// Bytes of one call.
const MAX_CALL: usize = 8 * 1024 * 1024;

/// Bytes of one event.
pub(crate) const MAX_EVENT: usize = 1024 * 1024;

/// Events of one call.
pub(crate) const MAX_EVENTS: usize = 10_000;

/// Handles `POST /events`.
pub(crate) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    app.intake_is_open()?;
    let form = Form::of(&headers)?;
    let header_key = idempotency_key(&headers)?;
    let mut share = app.room.enter()?;
    let limits = Limits { bytes: MAX_CALL, time: app.config.request_timeout };
    let bytes = body::read(body, &app.room, &mut share, limits).await?;
    let call = Call { form, header_key, trace: trace_of(&headers) };
    let (many, read) = call.read(&headers, &bytes, &app.room, &mut share)?;
    drop(bytes);
    let (candidates, refused) = answer::part(read);
    let fates = app.committer.submit(candidates).await;
    Ok(answer::answer(many, refused, fates))
}

/// What the whole call says of each of its events.
struct Call {
    form: Form,
    header_key: Option<String>,
    trace: TraceContext,
}

impl Call {
    /// All events of the body in order, and whether the answer is an array.
    fn read(
        &self,
        headers: &HeaderMap,
        bytes: &[u8],
        room: &Room,
        share: &mut Share,
    ) -> Result<(bool, Vec<Result<Candidate, Problem>>), Problem> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            Problem::bad("", format!("is not valid UTF-8: the bytes at offset {at} are none"))
        })?;
        let Pieces { many, pieces } = self.form.split(text)?;
        room.grow(share, pieces.iter().map(Piece::units).sum())?;
        let read = pieces
            .iter()
            .enumerate()
            .map(|(i, piece)| self.read_piece(headers, piece, many.then_some(i)));
        Ok((many, read.collect()))
    }

    fn read_piece(
        &self,
        headers: &HeaderMap,
        piece: &Piece<'_>,
        index: Option<usize>,
    ) -> Result<Candidate, Problem> {
        if piece.text.len() > MAX_EVENT {
            let detail = format!("is larger than {} KiB, which is the most for one event", 1024);
            return Err(Problem::bad(&piece.pointer, detail).status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let value = json::parse(piece.text).map_err(|fault| misread(&piece.pointer, &fault))?;
        let (sent, cloud_key) = match self.form {
            Form::Json | Form::Lines => {
                (read_event(&value, &piece.pointer, &Hints::default())?, None)
            }
            Form::Cloud | Form::CloudBatch => cloud::structured(&value, &piece.pointer)?,
            Form::CloudBinary => cloud::binary(headers, &value)?,
        };
        self.candidate(sent, cloud_key, index)
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
        let fingerprint = fingerprint(&sent.event)?;
        Ok(Candidate { key, term: None, fingerprint, event: sent.event, trace: self.trace })
    }
}

fn misread(at: &str, fault: &JsonFault) -> Problem {
    match fault {
        JsonFault::TooDeep(_) | JsonFault::Syntax(_) => Problem::bad(at, fault.to_string()),
        JsonFault::Nul { pointer } => Problem::bad(format!("{at}{pointer}"), fault.to_string()),
    }
}

/// The first 16 bytes of SHA-256 over what makes an event the same: for a sender's own key the
/// event as the store keeps it, so that neither the order of keys nor unknown ones matter.
pub(crate) fn fingerprint(content: &impl Serialize) -> Result<[u8; 16], Problem> {
    let canonical = serde_json::to_vec(content).map_err(|_| Problem::internal())?;
    let mut short = [0; 16];
    short.copy_from_slice(&digest(&SHA256, &canonical).as_ref()[..16]);
    Ok(short)
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
