//! `POST /hooks/broker` and `/hooks/broker/{name}`: what the webhook of an unmodified Pact Broker,
//! or of PactFlow, can send.
//!
//! A broker calls again, up to 7 times within an hour, until it gets a success within its 15 s,
//! and its calls carry no id. So an event is known by its content ([`repeat`]), and only while
//! no call that brought it was answered: afterwards an equal call is a new event, because whoever
//! runs the consumer's CI again expects another dispatch. The order of effects:
//!
//! commit, under the content as key → end the key's term → answer 200.
//!
//! * Up to the end of the term the broker has no 200: it calls again, and the repeat finds the
//!   event. Where time runs out the answer is therefore 503, although the event may be on disk.
//! * A call may meet an event that the watch made of the same publication, because it was faster
//!   ([`merged`]): the first one is merged with it, the next one is a new event.
//! * A crash between the end of the term and the answer makes the broker's next call a new event:
//!   one dispatch more. In the other order it would be one less: with the 200 given and the term
//!   still running, the next equal call would be taken for a repeat.

mod described;
mod event;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod merged;
mod params;
mod repeat;

pub(crate) use described::{named_described, unnamed_described};

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use postrider_api::RelayedEvent;
use postrider_domain::{Event, EventSource};
use postrider_http_server::Problem;
use postrider_http_server::body::{self, Limits};
use postrider_render::BrokerVar;
use postrider_store::EventDocument;
use postrider_telemetry::TraceContext;

use crate::app::App;
use crate::commit::{Candidate, CommitResult};
use crate::events;
use crate::payload::{DEFAULT_BROKER, check_key};
use crate::relay::merged::{Met, Relay};
use crate::relay::params::{BodyFault, Params};
use crate::relay::repeat::Identity;

/// Bytes of a body: as of one event.
const MAX_BODY: usize = events::MAX_EVENT;

/// The name of the event that a broker sends when somebody tries the webhook.
const TEST: &str = "test";

/// Handles `POST /hooks/broker`.
pub(crate) async fn unnamed(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    Call::new(DEFAULT_BROKER.to_owned()).answer_in_time(&app, request).await
}

/// Handles `POST /hooks/broker/{name}`.
pub(crate) async fn named(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let fault = |fault: &str| Problem::bad("", format!("the broker's name in the path {fault}"));
    let Path(name) = name.map_err(|_| fault("is not valid UTF-8"))?;
    check_key(&name).map_err(|wrong| fault(&wrong))?;
    Call::new(name).answer_in_time(&app, request).await
}

/// A call of a broker.
struct Call {
    broker: String,
    arrived: Instant,
}

impl Call {
    fn new(broker: String) -> Self {
        Self { broker, arrived: Instant::now() }
    }

    /// 503 where the answer would come later than the setting allows.
    async fn answer_in_time(self, app: &App, request: Request) -> Result<Response, Problem> {
        let deadline = self.arrived + app.config.relay_answer_within;
        let answer = Box::pin(self.answer(app, request));
        tokio::time::timeout_at(deadline.into(), answer).await.unwrap_or_else(|_| {
            Err(Problem::away(
                "no answer in time: try again, an event that was taken is recognised",
            ))
        })
    }

    async fn answer(self, app: &App, request: Request) -> Result<Response, Problem> {
        app.is_open()?;
        let (head, body) = request.into_parts();
        // Held until the answer: the committer does not end before.
        let mut permit = app.memory().enter()?;
        let limits = Limits { bytes: MAX_BODY, time: app.config.request_timeout };
        let bytes = body::read(&head.headers, body, app.memory(), &mut permit, limits).await?;
        let query = head.uri.query().unwrap_or_default();
        let params = self.read(app, query, &bytes)?;
        drop(bytes);
        if params.event_name() == TEST {
            return self.test_run(app).await;
        }
        let event = event::event(self.broker, &params)?;
        let identity = Identity::of(&event, self.arrived)?;
        let trace = events::trace_of(&head.headers);
        let relay = Relay::of(head.uri.path(), query);
        commit(app, identity, event, (&relay, trace)).await
    }

    /// Query and body together. A body that is no JSON does no harm beside a query that suffices.
    fn read(&self, app: &App, query: &str, body: &[u8]) -> Result<Params, Problem> {
        let mut params = Params::of_query(query)?;
        match params.add_body(body) {
            Ok(()) => Ok(params),
            Err(BodyFault::Values(problem)) => Err(problem),
            Err(BodyFault::Broken(fault)) => {
                let missing = params.missing();
                let accepted = missing.is_empty() || params.event_name() == TEST;
                app.shared().metrics.relay_broken_body(accepted);
                tracing::warn!(broker = self.broker, accepted, fault, "relay.body_broken");
                if accepted { Ok(params) } else { Err(broken(&fault, &missing)) }
            }
        }
    }

    /// Somebody tries the broker's webhook: told the truth about the store, nothing delivered.
    async fn test_run(&self, app: &App) -> Result<Response, Problem> {
        app.store().ping().await?;
        tracing::info!(broker = self.broker, "relay.test_arrived");
        let nothing = RelayedEvent { event_id: None, deliveries: Vec::new(), duplicate: false };
        Ok(Json(nothing).into_response())
    }
}

fn broken(fault: &str, missing: &[BrokerVar]) -> Problem {
    let missing: Vec<_> = missing.iter().map(|var| var.as_str()).collect();
    let missing = missing.join(", ");
    let detail = format!(
        "the body {fault}; a broker puts values into a body as they are, but encodes them in the \
         URL: give the parameters in the query string of the webhook's URL (it lacks {missing})"
    );
    Problem::bad("", detail)
}

async fn commit(
    app: &App,
    mut identity: Identity,
    event: Event,
    (relay, trace): (&Relay, TraceContext),
) -> Result<Response, Problem> {
    let event = EventDocument::new(event)?;
    let mut result = submit(app, &identity, &event, trace).await;
    if let (Some(key), CommitResult::Accepted { event_id, duplicate: true, .. }) =
        (&identity.key, &result)
    {
        let place = (app.store(), &app.config);
        match merged::met(place, relay, event.event(), *event_id).await? {
            Met::Again => {}
            Met::Merged(why) => app.store().note_merged(*event_id, why).await?,
            Met::Another => {
                app.store().free_key(key, *event_id).await?;
                identity.arrives_now();
                result = submit(app, &identity, &event, trace).await;
            }
        }
    }
    if let (Some(key), CommitResult::Accepted { event_id, .. }) = (&identity.key, &result) {
        app.store().free_key(key, *event_id).await?;
    }
    Ok(Json(events::accepted(result)?).into_response())
}

async fn submit(
    app: &App,
    identity: &Identity,
    event: &EventDocument,
    trace: TraceContext,
) -> CommitResult {
    let Identity { key, fingerprint, term } = identity.clone();
    let (source, event) = (EventSource::Relay, event.clone());
    let candidate = Candidate { source, key, term, fingerprint, event, trace };
    app.committer.submit(vec![candidate]).await.pop().unwrap_or(CommitResult::Away)
}

#[cfg(test)]
mod tests;
