//! What spans say, in the names of OpenTelemetry's semantic conventions; names that are ours begin
//! with `postrider.` or `pact.`.
//!
//! HTTP's are stable, those of messaging are in development. 4xx is an error for the client and
//! none for the server.

use std::fmt::Display;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use opentelemetry_semantic_conventions::attribute as name;

use crate::TraceContext;

/// Where a span stands in its trace, and its time.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The span.
    pub context: TraceContext,
    /// Its parent, if it has one.
    pub parent: Option<TraceContext>,
    /// Whether the parent is a span of another process.
    pub is_parent_remote: bool,
    /// Its begin.
    pub started: Timestamp,
    /// Its end.
    pub ended: Timestamp,
}

/// A span that has begun.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    context: TraceContext,
    parent: Option<TraceContext>,
    is_parent_remote: bool,
    started: Timestamp,
}

impl Begun {
    /// It begins now, below a parent of this process.
    pub fn below(parent: TraceContext, context: TraceContext) -> Self {
        let started = Timestamp::now();
        Self { context, parent: Some(parent), is_parent_remote: false, started }
    }

    /// It begins now, below a parent of another process if there is one.
    pub fn from_afar(parent: Option<TraceContext>, context: TraceContext) -> Self {
        Self { context, parent, is_parent_remote: true, started: Timestamp::now() }
    }

    /// It ends now.
    pub fn end(self) -> Place {
        let Self { context, parent, is_parent_remote, started } = self;
        Place { context, parent, is_parent_remote, started, ended: Timestamp::now() }
    }
}

/// What a span is about.
#[derive(Clone, Copy)]
pub enum Fact<'a> {
    /// A call of the intake.
    Call(Call<'a>),
    /// A message was published.
    Publish(Publish<'a>),
    /// A worker had a claimed delivery in hand.
    Process(Process<'a>),
    /// One request to a target.
    Request(Request<'a>),
}

/// A call of the intake.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// The path's pattern, such as `/hooks/broker/{name}`.
    pub route: &'a str,
    /// The path. The query is not told: it may hold anything.
    pub path: &'a str,
    /// Status of the answer.
    pub status: u16,
    /// `User-Agent` of the caller.
    pub user_agent: Option<&'a str>,
}

/// A message was published: the ids of some deliveries, of one call or of several.
#[derive(Clone, Copy)]
pub struct Publish<'a> {
    /// The exchange.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a str,
    /// Host and port of RabbitMQ.
    pub server: (&'a str, u16),
    /// How many deliveries it names.
    pub deliveries: u32,
    /// The delivery, where it names one alone.
    pub delivery_id: Option<&'a dyn Display>,
    /// Calls that brought deliveries of it, beside the span's parent.
    pub calls: &'a [TraceContext],
    /// Bytes of the message's body.
    pub body_size: usize,
    /// Whether RabbitMQ confirmed it.
    pub is_confirmed: bool,
}

/// A worker had a claimed delivery in hand.
#[derive(Clone, Copy)]
pub struct Process<'a> {
    /// The delivery.
    pub delivery_id: &'a dyn Display,
    /// Its event.
    pub event_id: &'a dyn Display,
    /// Which attempt of the schedule it was, from 1.
    pub attempt: u32,
    /// What it was about; unknown when it was given back before it was read.
    pub about: Option<About<'a>>,
    /// The class of the outcome; `None` when it was given back unsent.
    pub outcome: Option<&'a str>,
    /// Whether the target took it.
    pub is_delivered: bool,
    /// Whether it will be tried again.
    pub will_retry: bool,
    /// Whether an attempt before may have reached the target.
    pub possible_duplicate: bool,
    /// `<exchange>:<routing key>`, when a message brought it.
    pub destination: Option<&'a str>,
    /// The span that published the message.
    pub publish: Option<TraceContext>,
    /// The span of the delivery's first try, for a later one.
    pub first: Option<TraceContext>,
}

/// What a delivery is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Name of the event.
    pub event_name: &'a str,
    /// The webhook's uuid.
    pub webhook: &'a str,
    /// The consumer's name.
    pub consumer: &'a str,
    /// The provider's name.
    pub provider: &'a str,
    /// The lane's name.
    pub lane: &'a str,
}

/// One request to a target, a redirect within it included.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// The URL without user info and query, secrets starred.
    pub url: &'a str,
    /// Host of the target.
    pub host: &'a str,
    /// Port of the target.
    pub port: Option<u16>,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// The class of the outcome.
    pub outcome: &'a str,
    /// Attempts of the delivery's schedule before this one.
    pub resend_count: u32,
    /// `X-GitHub-Request-Id` of the answer.
    pub github_request_id: Option<&'a str>,
}

/// The name of the process's own spans when no message was received.
const PROCESS: &str = "process";
const GITHUB_REQUEST_ID: &str = "http.response.header.x-github-request-id";

/// The span as the SDK exports it.
pub(super) fn span_data(place: &Place, fact: &Fact<'_>, scope: InstrumentationScope) -> SpanData {
    let parent = place.parent.map(|parent| parent.to_span_context(place.is_parent_remote));
    let mut links = SpanLinks::default();
    links.links.extend(fact.links());
    SpanData {
        span_context: place.context.to_span_context(false),
        parent_span_id: parent.as_ref().map_or(SpanId::INVALID, SpanContext::span_id),
        parent_span_is_remote: place.is_parent_remote && parent.is_some(),
        span_kind: fact.kind(),
        name: fact.name().into(),
        start_time: SystemTime::from(place.started),
        end_time: SystemTime::from(place.ended.max(place.started)),
        attributes: fact.attributes(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: if fact.error().is_some() { Status::error("") } else { Status::Unset },
        instrumentation_scope: scope,
    }
}

impl Fact<'_> {
    fn kind(&self) -> SpanKind {
        match self {
            Self::Call(_) => SpanKind::Server,
            Self::Publish(_) => SpanKind::Producer,
            Self::Process(process) if process.destination.is_some() => SpanKind::Consumer,
            Self::Process(_) => SpanKind::Internal,
            Self::Request(_) => SpanKind::Client,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Call(call) => format!("{} {}", call.method, call.route),
            Self::Publish(publish) => {
                format!("publish {}:{}", publish.exchange, publish.routing_key)
            }
            Self::Process(process) => match process.destination {
                Some(destination) => format!("{PROCESS} {destination}"),
                None => PROCESS.to_owned(),
            },
            Self::Request(request) => request.method.to_owned(),
        }
    }

    /// `error.type`, for a span that failed.
    fn error(&self) -> Option<Value> {
        match self {
            Self::Call(call) => (call.status >= 500).then(|| call.status.to_string().into()),
            Self::Publish(publish) => (!publish.is_confirmed).then(|| "refused".into()),
            Self::Process(process) => {
                let outcome = process.outcome.filter(|_| !process.is_delivered);
                outcome.map(|outcome| outcome.to_owned().into())
            }
            Self::Request(request) => match request.status {
                Some(status) => (status >= 400).then(|| status.to_string().into()),
                None => Some(request.outcome.to_owned().into()),
            },
        }
    }

    fn links(&self) -> Vec<Link> {
        let linked: Vec<TraceContext> = match self {
            Self::Publish(publish) => publish.calls.to_vec(),
            Self::Process(process) => process.publish.into_iter().chain(process.first).collect(),
            Self::Call(_) | Self::Request(_) => Vec::new(),
        };
        let remote = |span: TraceContext| Link::with_context(span.to_span_context(true));
        linked.into_iter().map(remote).collect()
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut all = match self {
            Self::Call(call) => call.attributes(),
            Self::Publish(publish) => publish.attributes(),
            Self::Process(process) => process.attributes(),
            Self::Request(request) => request.attributes(),
        };
        all.extend(self.error().map(|error| KeyValue::new(name::ERROR_TYPE, error)));
        all
    }
}

fn text(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(name, value.to_owned())
}

fn shown(name: &'static str, value: &dyn Display) -> KeyValue {
    KeyValue::new(name, value.to_string())
}

fn number(name: &'static str, value: impl Into<i64>) -> KeyValue {
    KeyValue::new(name, value.into())
}

impl Call<'_> {
    fn attributes(&self) -> Vec<KeyValue> {
        let mut all = vec![
            text(name::HTTP_REQUEST_METHOD, self.method),
            text(name::HTTP_ROUTE, self.route),
            text(name::URL_PATH, self.path),
            KeyValue::new(name::URL_SCHEME, "http"),
            number(name::HTTP_RESPONSE_STATUS_CODE, self.status),
        ];
        all.extend(self.user_agent.map(|agent| text(name::USER_AGENT_ORIGINAL, agent)));
        all
    }
}

/// What all spans about a message say.
fn message(operation: &'static str, kind: &'static str, destination: String) -> Vec<KeyValue> {
    let key = destination.split_once(':').map_or("", |(_, key)| key);
    vec![
        text(name::MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY, key),
        KeyValue::new(name::MESSAGING_SYSTEM, "rabbitmq"),
        KeyValue::new(name::MESSAGING_OPERATION_NAME, operation),
        KeyValue::new(name::MESSAGING_OPERATION_TYPE, kind),
        KeyValue::new(name::MESSAGING_DESTINATION_NAME, destination),
    ]
}

impl Publish<'_> {
    fn attributes(&self) -> Vec<KeyValue> {
        let destination = format!("{}:{}", self.exchange, self.routing_key);
        let mut all = message("publish", "send", destination);
        let size = i64::try_from(self.body_size).unwrap_or(i64::MAX);
        all.extend([
            number(name::MESSAGING_MESSAGE_BODY_SIZE, size),
            text(name::SERVER_ADDRESS, self.server.0),
            number(name::SERVER_PORT, self.server.1),
            number("postrider.delivery.count", self.deliveries),
        ]);
        all.extend(self.delivery_id.map(|id| shown("postrider.delivery.id", id)));
        all
    }
}

impl Process<'_> {
    fn attributes(&self) -> Vec<KeyValue> {
        let mut all = match self.destination {
            Some(destination) => message(PROCESS, PROCESS, destination.to_owned()),
            None => Vec::new(),
        };
        all.extend([
            shown("postrider.delivery.id", self.delivery_id),
            shown("postrider.event.id", self.event_id),
            number("postrider.attempt", self.attempt),
            text("postrider.outcome", self.outcome.unwrap_or("released")),
            KeyValue::new("postrider.will_retry", self.will_retry),
            KeyValue::new("postrider.possible_duplicate", self.possible_duplicate),
        ]);
        if let Some(about) = self.about {
            all.extend([
                text("postrider.event.name", about.event_name),
                text("postrider.webhook.uuid", about.webhook),
                text("postrider.lane", about.lane),
                text("pact.consumer.name", about.consumer),
                text("pact.provider.name", about.provider),
            ]);
        }
        all
    }
}

impl Request<'_> {
    fn attributes(&self) -> Vec<KeyValue> {
        let mut all = vec![
            text(name::HTTP_REQUEST_METHOD, self.method),
            text(name::URL_FULL, self.url),
            text(name::SERVER_ADDRESS, self.host),
            text("postrider.outcome", self.outcome),
        ];
        all.extend(self.port.map(|port| number(name::SERVER_PORT, port)));
        all.extend(self.status.map(|status| number(name::HTTP_RESPONSE_STATUS_CODE, status)));
        if self.resend_count > 0 {
            all.push(number(name::HTTP_REQUEST_RESEND_COUNT, self.resend_count));
        }
        // An answer's header may come several times, so its value is a list by convention.
        all.extend(self.github_request_id.map(|id| {
            let values: Vec<StringValue> = vec![id.to_owned().into()];
            KeyValue::new(GITHUB_REQUEST_ID, Value::Array(values.into()))
        }));
        all
    }
}
