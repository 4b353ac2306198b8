//! The spans of an attempt: the worker's own, and the request's below it.
//!
//! Whether or not spans are exported, the ids are made: the log line tells them, and the target
//! gets the request's in its `traceparent`.

use std::sync::Arc;

use jiff::Timestamp;
use postrider_domain::{ClaimNo, DeliveryId, Outcome};
use postrider_queue::MessageContext;
use postrider_render::{Redactor, RenderedRequest};
use postrider_store::{Claim, Transition};
use postrider_telemetry::TraceContext;
use postrider_telemetry::spans::{self, About, Begun, Fact, Place, Process, Request};
use url::Position;

use crate::attempt::HeldClaim;
use crate::log::{Attempted, next_try};

/// Where an attempt stands in its trace.
#[derive(Debug)]
pub(crate) struct Traced {
    /// The worker's own span.
    pub(crate) process: TraceContext,
    /// The request's span.
    pub(crate) request: TraceContext,
    /// The span of the delivery's first try, when this is a later one.
    first: Option<TraceContext>,
    /// The row tells the trace, so that the request can be rendered again with its span's id.
    is_stored: bool,
    /// Set when a message brought the delivery.
    message: Option<Arc<MessageContext>>,
    /// Set when the trace is recorded.
    begun: Option<Begun>,
}

/// A request as its span tells it.
#[derive(Debug)]
pub(crate) struct Target {
    method: String,
    url: String,
    host: String,
    port: Option<u16>,
}

impl Traced {
    pub(crate) fn of(held: &HeldClaim) -> Self {
        let claim = &held.claim;
        // A message may carry deliveries of several calls: each stays in the trace of its own,
        // which its row names, so every try finds the same.
        let call: Option<TraceContext> =
            claim.traceparent.as_deref().and_then(|text| text.parse().ok());
        let origin = call.unwrap_or_else(TraceContext::new_root);
        let first = origin.child_of(first_span(claim.id));
        let is_first = claim.claim_no == ClaimNo(1);
        let process = if is_first { first } else { origin.child() };
        Self {
            process,
            request: process.child(),
            first: (!is_first).then_some(first),
            is_stored: call.is_some(),
            message: held.message.clone(),
            begun: spans::wanted(&process).then(|| Begun::from_afar(call, process)),
        }
    }

    /// The request's span, if row and span together tell the request's `traceparent`.
    pub(crate) fn kept_span(&self) -> Option<[u8; 8]> {
        self.is_stored.then(|| self.request.span_id())
    }

    /// What the request's span needs to know of it, if the trace is recorded.
    pub(crate) fn target(&self, request: &RenderedRequest, secrets: &Redactor) -> Option<Target> {
        self.begun.map(|_| Target::of(request, secrets))
    }

    /// Nothing was sent: given back, or of no use.
    pub(crate) fn unsent(&self, claim: &Claim, outcome: Option<Outcome>) {
        self.record(claim, outcome, None, (false, outcome.is_none()));
    }

    /// An attempt was made; `sent` is its request, if there was one, with its begin.
    pub(crate) fn attempted(&self, told: &Attempted<'_>, sent: Option<(&Target, Timestamp)>) {
        if self.begun.is_none() {
            return;
        }
        if let Some((target, started)) = sent {
            let ended = started.checked_add(told.duration).unwrap_or(started);
            let (context, parent) = (self.request, Some(self.process));
            let place = Place { context, parent, is_parent_remote: false, started, ended };
            spans::record(&place, &Fact::Request(target.fact(told)));
        }
        let about = About {
            event_name: told.event.event_name.as_str(),
            webhook: told.webhook.as_str(),
            consumer: &told.event.consumer.name,
            provider: &told.event.provider.name,
            lane: told.lane,
        };
        let is_delivered = matches!(told.transition, Transition::Delivered);
        let (will_retry, _) = next_try(told);
        let outcome = Some(told.outcome);
        self.record(told.claim, outcome, Some(about), (is_delivered, will_retry));
    }

    fn record(
        &self,
        claim: &Claim,
        outcome: Option<Outcome>,
        about: Option<About<'_>>,
        (is_delivered, will_retry): (bool, bool),
    ) {
        let Some(begun) = self.begun else { return };
        let process = Process {
            delivery_id: &claim.id,
            event_id: &claim.event_id,
            attempt: claim.number,
            about,
            outcome: outcome.map(Outcome::as_str),
            is_delivered,
            will_retry,
            possible_duplicate: claim.maybe_sent,
            destination: self.message.as_ref().map(|message| message.destination.as_str()),
            publish: self.message.as_ref().map(|message| message.publish),
            first: self.first,
        };
        spans::record(&begun.end(), &Fact::Process(process));
    }
}

impl Target {
    /// User info and query may hold anything; of the rest secrets are starred.
    fn of(request: &RenderedRequest, secrets: &Redactor) -> Self {
        let url = &request.url;
        let bare =
            [&url[..Position::BeforeUsername], &url[Position::BeforeHost..Position::AfterPath]];
        Self {
            method: request.method.as_str().to_owned(),
            url: secrets.redact(&bare.concat()).into_owned(),
            host: secrets.redact(url.host_str().unwrap_or_default()).into_owned(),
            port: url.port_or_known_default(),
        }
    }

    fn fact<'a>(&'a self, told: &'a Attempted<'_>) -> Request<'a> {
        Request {
            method: &self.method,
            url: &self.url,
            host: &self.host,
            port: self.port,
            status: told.status_code,
            outcome: told.outcome.as_str(),
            resend_count: told.claim.number.saturating_sub(1),
            github_request_id: told.github_request_id,
        }
    }
}

/// The id of the span of a delivery's first try follows from the delivery's own, so that later
/// tries, wherever they are made, can point to it. Half of it is random.
fn first_span(delivery: DeliveryId) -> [u8; 8] {
    let (high, low) = delivery.0.as_u64_pair();
    (high ^ low).to_be_bytes()
}

#[cfg(test)]
mod tests;
