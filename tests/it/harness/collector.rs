//! A collector of spans: OTLP by HTTP with protobuf, decoded by OpenTelemetry's own definitions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::process::{Setting, setting};

/// What came, as it came and decoded.
#[derive(Debug, Default)]
struct Taken {
    bodies: Vec<Bytes>,
    headers: Vec<HeaderMap>,
    spans: Vec<Span>,
    faults: Vec<String>,
}

/// A collector on loopback. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
    _stop: DropGuard,
}

/// A span, its ids in hex, its attributes as text.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace_id: String,
    pub(crate) id: String,
    /// Empty for the first span of a trace.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: otlp::span::SpanKind,
    pub(crate) is_error: bool,
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Of the process that made it.
    pub(crate) resource: BTreeMap<String, String>,
    /// Ids of spans that it points to.
    pub(crate) links: Vec<String>,
}

impl Span {
    /// An attribute; empty when it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let taken = Arc::<Mutex<Taken>>::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&taken));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        TaskTracker::new().spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stopped).await
        });
        Ok(Self { address, taken, _stop: stop.drop_guard() })
    }

    /// Settings of a process that exports here, soon.
    pub(crate) fn settings(&self) -> [Setting; 2] {
        [
            setting("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address)),
            setting("OTEL_BSP_SCHEDULE_DELAY", 50),
        ]
    }

    /// All spans so far.
    ///
    /// # Errors
    /// Something came that is no OTLP.
    pub(crate) fn spans(&self) -> Result<Vec<Span>> {
        let taken = self.taken();
        ensure!(taken.faults.is_empty(), "{:?}", taken.faults);
        Ok(taken.spans.clone())
    }

    /// Everything that came, undecoded.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.taken().bodies.clone()
    }

    /// The headers of the exports.
    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.taken().headers.clone()
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(
    State(taken): State<Arc<Mutex<Taken>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let read = read(&headers, &body);
    taken.headers.push(headers);
    taken.bodies.push(body);
    match read {
        Ok(spans) => {
            taken.spans.extend(spans);
            StatusCode::OK
        }
        Err(fault) => {
            taken.faults.push(format!("{fault:#}"));
            StatusCode::BAD_REQUEST
        }
    }
}

fn read(headers: &HeaderMap, body: &Bytes) -> Result<Vec<Span>> {
    let kind = headers.get(header::CONTENT_TYPE).context("a content type")?;
    ensure!(kind == "application/x-protobuf", "{kind:?}");
    let request = ExportTraceServiceRequest::decode(body.clone())?;
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.context("a resource")?.attributes);
        for scoped in of_resource.scope_spans {
            ensure!(scoped.scope.context("a scope")?.name == "postrider", "the scope");
            spans.extend(scoped.spans.into_iter().map(|span| of(span, &resource)));
        }
    }
    Ok(spans)
}

fn of(span: otlp::Span, resource: &BTreeMap<String, String>) -> Span {
    let error = i32::from(otlp::status::StatusCode::Error);
    Span {
        kind: span.kind(),
        trace_id: hex::encode(&span.trace_id),
        id: hex::encode(&span.span_id),
        parent: hex::encode(&span.parent_span_id),
        name: span.name,
        is_error: span.status.is_some_and(|status| status.code == error),
        started: span.start_time_unix_nano,
        ended: span.end_time_unix_nano,
        attributes: attributes(span.attributes),
        resource: resource.clone(),
        links: span.links.iter().map(|link| hex::encode(&link.span_id)).collect(),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(truth)) => truth.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(items)) => {
            items.values.into_iter().map(text).collect::<Vec<_>>().join(",")
        }
        other => format!("{other:?}"),
    }
}
