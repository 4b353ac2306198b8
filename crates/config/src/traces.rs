//! `OTEL_*`: where spans go, in the variables of the OpenTelemetry specification. They are off
//! until an endpoint is named.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use postrider_telemetry::spans::{InvalidSampling, Sampling};
use secrecy::SecretString;
use url::Url;

use crate::declaration::variable;
use crate::parse;
use crate::reader::{Given, Reader, Reported};
use crate::section::settings;
use crate::value::{Raw, Wrong};

/// Where the specification looks for a collector when nobody says where it is.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
const TRACES_PATH: &str = "v1/traces";

settings! {
    /// Traces, in the variables of OpenTelemetry.
    struct TraceVariables {
        /// Turns traces off whatever else is set.
        disabled: Given =
            variable(&["OTEL_SDK_DISABLED"], "true or false").example("true").unparsed_else("false"),
        /// Whether spans are exported; they are when an endpoint is named.
        exporter: Given =
            variable(&["OTEL_TRACES_EXPORTER"], "otlp or none").example("otlp").unparsed(),
        /// The collector; `/v1/traces` is added to it.
        endpoint: Given =
            variable(&["OTEL_EXPORTER_OTLP_ENDPOINT"], "http or https URL")
                .example("http://collector:4318")
                .unparsed(),
        /// The collector's address for traces, as it is.
        traces_endpoint: Given =
            variable(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], "http or https URL")
                .example("http://collector:4318/v1/traces")
                .unparsed(),
        /// The one protocol that is spoken.
        protocol: Given =
            variable(
                &["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
                "http/protobuf",
            )
            .example("http/protobuf")
            .unparsed_else("http/protobuf"),
        /// Exports are not compressed.
        compression: Given =
            variable(
                &["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
                "none",
            )
            .example("none")
            .unparsed_else("none"),
        /// Headers of each export.
        headers: Given =
            variable(
                &["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
                "name=value, separated by commas, values percent-encoded",
            )
            .secret()
            .example("authorization=Bearer%20$TOKEN")
            .unparsed(),
        /// Longest time of one export, in milliseconds.
        timeout: Given =
            variable(
                &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
                "whole number, 1 to 600000",
            )
            .example("5000")
            .unparsed_else("10000"),
        /// Which traces are recorded.
        sampler: Given =
            variable(&["OTEL_TRACES_SAMPLER"], "name of a sampler of the specification")
                .example("parentbased_traceidratio")
                .unparsed_else("parentbased_always_on"),
        /// The share of traces, for samplers that go by one.
        sampler_arg: Given =
            variable(&["OTEL_TRACES_SAMPLER_ARG"], "ratio, 0 to 1").example("0.1").unparsed(),
        /// How long spans gather before they are exported, in milliseconds.
        delay: Given =
            variable(&["OTEL_BSP_SCHEDULE_DELAY"], "whole number, 1 to 600000")
                .example("1000")
                .unparsed_else("5000"),
        /// Spans that may wait.
        queue: Given =
            variable(&["OTEL_BSP_MAX_QUEUE_SIZE"], "whole number, 1 to 1000000")
                .example("4096")
                .unparsed_else("2048"),
        /// Spans of one export.
        batch: Given =
            variable(&["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], "whole number, 1 to 100000")
                .example("256")
                .unparsed_else("512"),
        /// What the process is called; `postrider` when it is not set.
        service: Given = variable(&["OTEL_SERVICE_NAME"], "text").example("postrider-eu").unparsed(),
        /// What else is said of the process.
        resource: Given =
            variable(
                &["OTEL_RESOURCE_ATTRIBUTES"],
                "name=value, separated by commas, values percent-encoded",
            )
            .example("deployment.environment.name=production")
            .unparsed(),
    }
}

/// Where spans go.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The collector's address for traces.
    pub endpoint: String,
    /// Headers of each export.
    pub headers: Vec<(String, SecretString)>,
    /// For one export.
    pub timeout: Duration,
    /// Which traces are recorded.
    pub sampling: Sampling,
    /// Spans that may wait.
    pub queue: usize,
    /// Spans of one export.
    pub batch: usize,
    /// How long spans gather.
    pub delay: Duration,
    /// What is said of the process, later entries over earlier ones.
    pub resource: Vec<(String, String)>,
}

/// Reads them; `None` when spans are not exported, and then nobody minds what the others say.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<TraceSettings>, Reported> {
    let all = TraceVariables::read(reader)?;
    let disabled = all.disabled.parse(reader, truth)?;
    let exports = all.exporter.parse(reader, exports)?;
    let named = all.endpoint.raw.is_some() || all.traces_endpoint.raw.is_some();
    if disabled == Some(true) || !exports.unwrap_or(named) {
        return Ok(None);
    }
    all.settings(reader).map(Some)
}

impl TraceVariables {
    fn settings(&self, reader: &mut Reader<'_>) -> Result<TraceSettings, Reported> {
        let endpoint = self.endpoint(reader);
        let protocol = self.protocol.parse(reader, protocol);
        let compression = self.compression.parse(reader, compression);
        let headers = self.headers.parse(reader, secret_pairs);
        let timeout = self.timeout.parse(reader, milliseconds(1, 600_000));
        let sampling = self.sampling(reader);
        let delay = self.delay.parse(reader, milliseconds(1, 600_000));
        let queue = self.queue.parse(reader, parse::number(1, 1_000_000));
        let batch = self.batch.parse(reader, parse::number(1, 100_000));
        let resource = self.resource.parse(reader, pairs);
        protocol?;
        compression?;
        let queue = queue?.unwrap_or(1);
        let mut resource = resource?.unwrap_or_default();
        resource.extend(self.service.text().map(|name| ("service.name".to_owned(), name)));
        Ok(TraceSettings {
            endpoint: endpoint?,
            headers: headers?.unwrap_or_default(),
            timeout: timeout?.unwrap_or_default(),
            sampling: sampling?,
            queue,
            batch: batch?.unwrap_or(queue).min(queue),
            delay: delay?.unwrap_or_default(),
            resource,
        })
    }

    /// The endpoint for traces as it is; the common one with the path for traces.
    fn endpoint(&self, reader: &mut Reader<'_>) -> Result<String, Reported> {
        if let Some(own) = self.traces_endpoint.parse(reader, parse::http_url)? {
            return Ok(own.into());
        }
        let common = self.endpoint.parse(reader, parse::http_url)?;
        let mut base = common.map_or_else(|| DEFAULT_ENDPOINT.to_owned(), Url::into);
        if !base.ends_with('/') {
            base.push('/');
        }
        Ok(format!("{base}{TRACES_PATH}"))
    }

    fn sampling(&self, reader: &mut Reader<'_>) -> Result<Sampling, Reported> {
        let name = self.sampler.text().unwrap_or_default();
        Sampling::parse(&name, self.sampler_arg.text().as_deref()).map_err(|error| {
            let (given, fix) = match error {
                InvalidSampling::Name(_) => (&self.sampler, "write parentbased_always_on"),
                InvalidSampling::Ratio(_) => (&self.sampler_arg, "write a ratio such as 0.1"),
            };
            reader.given_problem(given, Wrong::new(error.to_string(), fix))
        })
    }
}

fn truth(raw: &Raw) -> Result<bool, Wrong> {
    match raw.text().to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(Wrong::new(format!("{other:?} is no truth value"), "write true or false")),
    }
}

fn exports(raw: &Raw) -> Result<bool, Wrong> {
    match raw.text().as_str() {
        "otlp" => Ok(true),
        "none" => Ok(false),
        other => Err(Wrong::new(format!("{other:?} is no exporter here"), "write otlp or none")),
    }
}

fn protocol(raw: &Raw) -> Result<(), Wrong> {
    match raw.text().as_str() {
        "http/protobuf" => Ok(()),
        other => Err(Wrong::new(
            format!("{other:?} is not spoken here"),
            "write http/protobuf, and name the collector's HTTP port, usually 4318",
        )),
    }
}

fn compression(raw: &Raw) -> Result<(), Wrong> {
    match raw.text().as_str() {
        "none" => Ok(()),
        other => Err(Wrong::new(format!("{other:?} is not done here"), "write none")),
    }
}

fn milliseconds(least: u64, most: u64) -> impl Fn(&Raw) -> Result<Duration, Wrong> {
    move |raw| parse::number(least, most)(raw).map(Duration::from_millis)
}

/// `name=value,name=value`, values percent-encoded (W3C Baggage, as the specification has it).
/// Messages never quote: values of headers are secret.
fn pairs(raw: &Raw) -> Result<Vec<(String, String)>, Wrong> {
    let text = raw.text();
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            (!name.trim().is_empty()).then(|| (name.trim().to_owned(), value.into_owned()))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            Wrong::new("is no list of pairs", "write name=value,name=value, values percent-encoded")
        })
}

fn secret_pairs(raw: &Raw) -> Result<Vec<(String, SecretString)>, Wrong> {
    let usable = |(name, value): (String, String)| {
        let is_header = http::header::HeaderName::try_from(&name).is_ok()
            && http::header::HeaderValue::try_from(&value).is_ok();
        is_header.then(|| (name, SecretString::from(value)))
    };
    pairs(raw)?.into_iter().map(usable).collect::<Option<_>>().ok_or_else(|| {
        Wrong::new("holds what is no HTTP header", "write header=value, values percent-encoded")
    })
}
