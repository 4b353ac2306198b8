//! Variables of OpenTelemetry.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::given::{env, shown};

#[test]
fn spans_are_off_until_an_endpoint_is_named() {
    let off: [&[(&str, &str)]; 4] = [
        &[],
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_HEADERS", "nonsense")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_SDK_DISABLED", "TRUE")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_TRACES_EXPORTER", "none")],
    ];
    for given in off {
        assert!(env(given).settings().traces.is_none(), "{given:?}");
    }
    for (given, endpoint) in [
        (("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), "http://c:4318/v1/traces"),
        (("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/otlp"), "https://c/otlp/v1/traces"),
        (("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/own"), "http://c:1/own"),
        (("OTEL_TRACES_EXPORTER", "otlp"), "http://localhost:4318/v1/traces"),
    ] {
        let traces = env(&[given]).settings().traces.unwrap();
        assert_eq!(traces.endpoint, endpoint);
        assert_eq!((traces.queue, traces.batch), (2048, 512));
        assert_eq!(traces.timeout.as_secs(), 10);
    }
}

#[test]
fn spans_by_the_usual_variables() {
    let settings = env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://common:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:4318/x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2, x-team = a"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_SERVICE_NAME", "courier"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,deployment.environment.name=prod"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
    ])
    .settings();
    assert_eq!(shown(&settings, "OTEL_EXPORTER_OTLP_HEADERS").0.as_deref(), Some("***"));
    assert!(!format!("{settings:?}").contains("hunter2"));
    let traces = settings.traces.unwrap();
    assert_eq!(traces.endpoint, "http://own:4318/x");
    let headers: Vec<_> =
        traces.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(headers, [("authorization", "Bearer hunter2"), ("x-team", "a")]);
    assert_eq!((traces.timeout.as_millis(), traces.queue, traces.batch), (1500, 10, 10));
    let said: BTreeMap<_, _> = traces.resource.into_iter().collect();
    assert_eq!(said["service.name"], "courier");
    assert_eq!(said["deployment.environment.name"], "prod");
    let by_file = env(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_HEADERS_FILE", "/secret/token"),
    ]);
    insta::assert_snapshot!(by_file.problems().join("\n"), @"error: OTEL_EXPORTER_OTLP_HEADERS_FILE (environment): is no list of pairs; fix: write name=value,name=value, values percent-encoded");
}

#[test]
fn spans_that_cannot_be_exported_as_asked_are_refused() {
    let problems = env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ])
    .problems();
    insta::assert_snapshot!(problems.join("\n"), @r#"
    error: OTEL_EXPORTER_OTLP_ENDPOINT (environment): is no http or https URL; fix: write an http or https URL, e.g. https://host:9393
    error: OTEL_EXPORTER_OTLP_PROTOCOL (environment): "grpc" is not spoken here; fix: write http/protobuf, and name the collector's HTTP port, usually 4318
    error: OTEL_EXPORTER_OTLP_COMPRESSION (environment): "gzip" is not done here; fix: write none
    error: OTEL_EXPORTER_OTLP_HEADERS (environment): is no list of pairs; fix: write name=value,name=value, values percent-encoded
    error: OTEL_TRACES_SAMPLER_ARG (environment): "2" is no ratio from 0 to 1; fix: write a ratio such as 0.1
    error: OTEL_BSP_MAX_QUEUE_SIZE (environment): "0" is no number from 1 to 1000000; fix: write a whole number in that range
    "#);
}
