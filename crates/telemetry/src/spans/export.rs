//! From finished spans to the collector, on a thread of its own.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor,
};
use opentelemetry_semantic_conventions::SCHEMA_URL;

use super::data::{Fact, Place, span_data};
use super::sampling::Sampling;
use crate::metrics::SpanLoss;
use crate::{Metrics, TraceContext, guard_secrets};

/// Where spans go, and how.
#[derive(Clone)]
pub struct SpanConfig {
    /// The collector's address for traces, OTLP by HTTP with protobuf, path included.
    pub endpoint: String,
    /// Headers of each export; their values are secret.
    pub headers: HashMap<String, String>,
    /// For one export, tries included.
    pub timeout: Duration,
    /// Which traces are recorded.
    pub sampling: Sampling,
    /// Spans that may wait to be exported; more are dropped. At least 1.
    pub queue: usize,
    /// Spans of one export, at least 1 and at most `queue`.
    pub batch: usize,
    /// How long spans gather for an export that is not full.
    pub delay: Duration,
    /// What is said of the process, such as `service.name`.
    pub resource: Vec<(String, String)>,
}

impl fmt::Debug for SpanConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.keys().collect();
        f.debug_struct("SpanConfig")
            .field("endpoint", &self.endpoint)
            .field("headers", &headers)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

/// Spans can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum SpansError {
    /// The exporter could not be made from its settings.
    #[error("spans can't be exported: {0}")]
    Exporter(String),
    /// The process exports already.
    #[error("spans are exported already")]
    Started,
}

/// A process's way to its collector.
pub(super) struct Export {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    sampling: Sampling,
    waiting: Arc<AtomicUsize>,
    most: usize,
    metrics: Metrics,
}

impl Export {
    pub(super) fn new(config: SpanConfig, metrics: Metrics) -> Result<Self, SpansError> {
        guard_secrets(config.headers.values());
        let inner = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(config.endpoint)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(config.timeout)
            .with_headers(config.headers)
            .build()
            .map_err(|error| SpansError::Exporter(error.to_string()))?;
        let waiting = Arc::<AtomicUsize>::default();
        let watched = Watched {
            inner,
            waiting: Arc::clone(&waiting),
            metrics: metrics.clone(),
            is_failing: AtomicBool::new(false),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(config.queue)
            .with_max_export_batch_size(config.batch)
            .with_scheduled_delay(config.delay)
            .build();
        let mut processor = BatchSpanProcessor::new(watched, batches);
        processor.set_resource(&resource(config.resource));
        metrics.expect_spans();
        Ok(Self {
            processor,
            scope: InstrumentationScope::builder("postrider")
                .with_version(env!("CARGO_PKG_VERSION"))
                .with_schema_url(SCHEMA_URL)
                .build(),
            sampling: config.sampling,
            waiting,
            most: config.queue,
            metrics,
        })
    }

    pub(super) fn samples(&self, parent: Option<TraceContext>, context: TraceContext) -> bool {
        self.sampling.samples(parent, context)
    }

    /// Bounds the queue itself: the processor's own bound drops without telling how many.
    pub(super) fn record(&self, place: &Place, fact: &Fact<'_>) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.metrics.spans_dropped(SpanLoss::QueueFull, 1);
            return;
        }
        self.processor.on_end(span_data(place, fact, self.scope.clone()));
    }

    /// What the collector has not taken by then is lost with the process.
    pub(super) fn stop(&self, within: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(within) {
            let left = self.waiting.load(Ordering::Relaxed);
            tracing::warn!(%error, left, "spans.not_all_exported");
        }
    }
}

fn resource(attributes: Vec<(String, String)>) -> Resource {
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)))
        .build()
}

/// The exporter of the OpenTelemetry SDK; counts what leaves the queue and what is lost, and says
/// once that the collector is away and once that it is back.
#[derive(Debug)]
struct Watched<E> {
    inner: E,
    waiting: Arc<AtomicUsize>,
    metrics: Metrics,
    is_failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let exported = self.inner.export(batch).await;
        let was_failing = self.is_failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Ok(()) if was_failing => tracing::info!("spans.exported_again"),
            Ok(()) => {}
            Err(error) => {
                self.metrics.spans_dropped(SpanLoss::NotExported, count as u64);
                if !was_failing {
                    tracing::warn!(%error, "spans.not_exported");
                }
            }
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.inner.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
