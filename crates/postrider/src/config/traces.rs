//! `OTEL_*`: where spans go, in the variables of the OpenTelemetry specification. They are off
//! until an endpoint is named.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use postrider_telemetry::spans::{InvalidSampling, Sampling};
use secrecy::SecretString;
use url::Url;

use super::parse;
use super::reader::{Reader, Reported};
use super::settings::TraceSettings;
use super::value::{Raw, Show, Wrong};

/// Where the specification looks for a collector when nobody says where it is.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
const TRACES_PATH: &str = "v1/traces";

/// A variable of the specification, or the one for traces alone, which comes first.
struct Given {
    names: &'static [&'static str],
    value: Option<String>,
}

impl Given {
    fn read(
        reader: &mut Reader<'_>,
        names: &'static [&'static str],
        default: Option<&str>,
    ) -> Self {
        Self { names, value: reader.foreign(names, default, Show::Plain) }
    }

    fn parse<T>(
        &self,
        reader: &mut Reader<'_>,
        parse: impl Fn(&Raw) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Reported> {
        let Some(value) = &self.value else { return Ok(None) };
        let parsed = parse(&Raw::Text(value.clone()));
        parsed.map(Some).map_err(|wrong| reader.foreign_problem(self.names, wrong))
    }
}

/// All variables as they were given.
struct AllGiven {
    disabled: Given,
    exporter: Given,
    endpoint: Given,
    traces_endpoint: Given,
    protocol: Given,
    compression: Given,
    headers: Given,
    timeout: Given,
    sampler: Given,
    sampler_arg: Given,
    delay: Given,
    queue: Given,
    batch: Given,
    service: Given,
    resource: Given,
}

/// Reads them; `None` when spans are not exported, and then nobody minds what the others say.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<TraceSettings>, Reported> {
    let all = AllGiven::read(reader);
    let disabled = all.disabled.parse(reader, truth)?;
    let exports = all.exporter.parse(reader, exports)?;
    let named = all.endpoint.value.is_some() || all.traces_endpoint.value.is_some();
    if disabled == Some(true) || !exports.unwrap_or(named) {
        return Ok(None);
    }
    all.settings(reader).map(Some)
}

impl AllGiven {
    fn read(reader: &mut Reader<'_>) -> Self {
        let headers = &["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
        let mut plain = |names, default| Given::read(reader, names, default);
        Self {
            disabled: plain(&["OTEL_SDK_DISABLED"], Some("false")),
            exporter: plain(&["OTEL_TRACES_EXPORTER"], None),
            endpoint: plain(&["OTEL_EXPORTER_OTLP_ENDPOINT"], None),
            traces_endpoint: plain(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], None),
            protocol: plain(
                &["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
                Some("http/protobuf"),
            ),
            compression: plain(
                &["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
                Some("none"),
            ),
            timeout: plain(
                &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
                Some("10000"),
            ),
            sampler: plain(&["OTEL_TRACES_SAMPLER"], Some("parentbased_always_on")),
            sampler_arg: plain(&["OTEL_TRACES_SAMPLER_ARG"], None),
            delay: plain(&["OTEL_BSP_SCHEDULE_DELAY"], Some("5000")),
            queue: plain(&["OTEL_BSP_MAX_QUEUE_SIZE"], Some("2048")),
            batch: plain(&["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], Some("512")),
            service: plain(&["OTEL_SERVICE_NAME"], None),
            resource: plain(&["OTEL_RESOURCE_ATTRIBUTES"], None),
            headers: Given { names: headers, value: reader.foreign_secret(headers) },
        }
    }

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
        resource.extend(self.service.value.clone().map(|name| ("service.name".to_owned(), name)));
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
        let argument = self.sampler_arg.value.as_deref();
        let name = self.sampler.value.as_deref().unwrap_or_default();
        Sampling::parse(name, argument).map_err(|error| {
            let (given, fix) = match error {
                InvalidSampling::Name(_) => (&self.sampler, "write parentbased_always_on"),
                InvalidSampling::Ratio(_) => (&self.sampler_arg, "write a ratio such as 0.1"),
            };
            reader.foreign_problem(given.names, Wrong::new(error.to_string(), fix))
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
        let is_header = reqwest::header::HeaderName::try_from(&name).is_ok()
            && reqwest::header::HeaderValue::try_from(&value).is_ok();
        is_header.then(|| (name, SecretString::from(value)))
    };
    pairs(raw)?.into_iter().map(usable).collect::<Option<_>>().ok_or_else(|| {
        Wrong::new("holds what is no HTTP header", "write header=value, values percent-encoded")
    })
}
