//! Tests of the spans: what they say, and what becomes of them when nobody takes them.

use std::io::Read;
use std::net::TcpListener;
use std::time::Instant;

use jiff::Timestamp;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::data::span_data;
use super::*;

fn context(number: u8) -> TraceContext {
    TraceContext::root([1; 24]).child_of([number; 8])
}

fn spanned(fact: Fact<'_>) -> SpanData {
    let started = Timestamp::from_second(1_790_000_000).unwrap();
    let place = Place {
        context: context(2),
        parent: Some(context(3)),
        is_parent_remote: true,
        started,
        ended: started + jiff::SignedDuration::from_millis(5),
    };
    span_data(&place, &fact, InstrumentationScope::builder("test").build())
}

fn said<'a>(span: &'a SpanData, name: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|KeyValue { key, .. }| key.as_str() == name);
    found.map(|pair| &pair.value)
}

#[track_caller]
fn says(span: &SpanData, wanted: &[(&str, &str)]) {
    for (name, value) in wanted {
        let found = said(span, name).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(*value), "{name} of {:?}", span.attributes);
    }
}

fn process(outcome: Option<&str>) -> Process<'_> {
    Process {
        delivery_id: &"d",
        event_id: &"e",
        attempt: 2,
        about: Some(About {
            event_name: "contract_published",
            webhook: "w",
            consumer: "C",
            provider: "P",
            lane: "h/c",
        }),
        outcome,
        is_delivered: outcome == Some("accepted"),
        will_retry: false,
        possible_duplicate: true,
        destination: None,
        publish: None,
        first: Some(context(9)),
    }
}

fn request(status: Option<u16>) -> Request<'static> {
    Request {
        method: "POST",
        url: "https://h/x",
        host: "h",
        port: Some(443),
        status,
        outcome: "timeout",
        resend_count: 1,
        github_request_id: Some("AB:1"),
    }
}

#[test]
fn a_span_stands_where_its_context_says() {
    let span = spanned(Fact::Request(request(Some(204))));
    let wanted = context(2);
    assert_eq!(format!("{:032x}", span.span_context.trace_id()), wanted.trace_id_hex());
    assert_eq!(format!("{:016x}", span.span_context.span_id()), wanted.span_id_hex());
    assert_eq!(format!("{:016x}", span.parent_span_id), context(3).span_id_hex());
    assert!(span.parent_span_is_remote && span.span_context.is_sampled());
    let took = span.end_time.duration_since(span.start_time).unwrap();
    assert_eq!(took, Duration::from_millis(5));
}

#[test]
fn a_call() {
    let call = |status| {
        spanned(Fact::Call(Call {
            method: "POST",
            route: "/hooks/broker/{name}",
            path: "/hooks/broker/main",
            status,
            user_agent: Some("Pact Broker v2.120.0"),
        }))
    };
    let span = call(400);
    assert_eq!(
        (span.span_kind.clone(), span.name.as_ref()),
        (SpanKind::Server, "POST /hooks/broker/{name}")
    );
    says(&span, &[("http.request.method", "POST"), ("http.response.status_code", "400")]);
    says(&span, &[("url.path", "/hooks/broker/main"), ("url.scheme", "http")]);
    says(&span, &[("user_agent.original", "Pact Broker v2.120.0")]);
    assert_eq!(span.status, Status::Unset, "4xx is the caller's fault");
    assert_eq!(said(&span, "error.type"), None);
    let span = call(503);
    assert_eq!(span.status, Status::error(""));
    says(&span, &[("error.type", "503")]);
}

#[test]
fn a_publishing() {
    let publish = |is_confirmed| {
        spanned(Fact::Publish(Publish {
            exchange: "postrider.deliveries",
            routing_key: "postrider.deliveries.v2",
            server: ("mq", 5672),
            deliveries: 1,
            delivery_id: Some(&"d"),
            calls: &[],
            body_size: 70,
            is_confirmed,
        }))
    };
    let span = publish(true);
    let destination = "postrider.deliveries:postrider.deliveries.v2";
    assert_eq!(span.span_kind, SpanKind::Producer);
    assert_eq!(span.name, format!("publish {destination}"));
    says(&span, &[("messaging.system", "rabbitmq"), ("messaging.operation.type", "send")]);
    says(&span, &[("messaging.operation.name", "publish")]);
    says(&span, &[("messaging.destination.name", destination)]);
    let key = ("messaging.rabbitmq.destination.routing_key", "postrider.deliveries.v2");
    says(&span, &[key, ("server.address", "mq"), ("server.port", "5672")]);
    says(&span, &[("postrider.delivery.id", "d"), ("postrider.delivery.count", "1")]);
    assert_eq!(span.status, Status::Unset);
    says(&publish(false), &[("error.type", "refused")]);
}

fn linked(span: &SpanData) -> Vec<String> {
    let links = span.links.links.iter();
    links.map(|link| format!("{:016x}", link.span_context.span_id())).collect()
}

#[test]
fn a_publishing_of_several_calls_links_to_the_others() {
    let calls = [context(7), context(8)];
    let span = spanned(Fact::Publish(Publish {
        exchange: "x",
        routing_key: "q",
        server: ("mq", 5672),
        deliveries: 32,
        delivery_id: None,
        calls: &calls,
        body_size: 1400,
        is_confirmed: true,
    }));
    says(&span, &[("postrider.delivery.count", "32")]);
    assert_eq!(said(&span, "postrider.delivery.id"), None);
    assert_eq!(linked(&span), calls.map(|call| call.span_id_hex()));
}

#[test]
fn a_delivery_in_hand() {
    let span = spanned(Fact::Process(process(Some("accepted"))));
    assert_eq!((span.span_kind.clone(), span.name.as_ref()), (SpanKind::Internal, "process"));
    says(&span, &[("postrider.outcome", "accepted"), ("postrider.attempt", "2")]);
    says(&span, &[("pact.consumer.name", "C"), ("pact.provider.name", "P")]);
    says(&span, &[("postrider.lane", "h/c"), ("postrider.possible_duplicate", "true")]);
    assert_eq!(span.status, Status::Unset);
    assert_eq!(linked(&span), [context(9).span_id_hex()]);

    let destination = Some("postrider.deliveries:q");
    let publish = Some(context(6));
    let first = Process { destination, publish, first: None, ..process(Some("server_error")) };
    let span = spanned(Fact::Process(first));
    assert_eq!(span.span_kind, SpanKind::Consumer);
    assert_eq!(span.name, "process postrider.deliveries:q");
    says(&span, &[("messaging.operation.type", "process"), ("error.type", "server_error")]);
    assert_eq!(linked(&span), [context(6).span_id_hex()]);
    assert_eq!(span.status, Status::error(""));

    let span = spanned(Fact::Process(Process { about: None, ..process(None) }));
    says(&span, &[("postrider.outcome", "released")]);
    assert_eq!((span.status.clone(), said(&span, "error.type")), (Status::Unset, None));
}

#[test]
fn a_request() {
    let span = spanned(Fact::Request(request(Some(404))));
    assert_eq!((span.span_kind.clone(), span.name.as_ref()), (SpanKind::Client, "POST"));
    says(&span, &[("url.full", "https://h/x"), ("server.address", "h"), ("server.port", "443")]);
    says(&span, &[("http.response.status_code", "404"), ("error.type", "404")]);
    says(&span, &[("http.request.resend_count", "1")]);
    says(&span, &[("http.response.header.x-github-request-id", r#"["AB:1"]"#)]);
    assert_eq!(span.status, Status::error(""), "4xx is an error for who asked");
    says(&spanned(Fact::Request(request(None))), &[("error.type", "timeout")]);
    let span = spanned(Fact::Request(Request { resend_count: 0, ..request(Some(204)) }));
    assert_eq!(
        (span.status.clone(), said(&span, "http.request.resend_count")),
        (Status::Unset, None)
    );
}

#[test]
fn samplers_by_the_names_of_the_specification() {
    let samples = |name: &str, argument: Option<&str>, parent: Option<bool>| {
        let parent = parent.map(|sampled| context(3).with_sampled(sampled));
        Sampling::parse(name, argument).unwrap().samples(parent, context(2))
    };
    for (name, argument, parent, expected) in [
        ("always_on", None, Some(false), true),
        ("always_off", None, Some(true), false),
        ("parentbased_always_on", None, None, true),
        ("parentbased_always_on", None, Some(false), false),
        ("parentbased_always_off", None, None, false),
        ("parentbased_always_off", None, Some(true), true),
        ("traceidratio", Some("0"), Some(true), false),
        ("traceidratio", None, None, true),
        ("parentbased_traceidratio", Some("0.0"), None, false),
        ("parentbased_traceidratio", Some("0.0"), Some(true), true),
    ] {
        assert_eq!(samples(name, argument, parent), expected, "{name} {argument:?} {parent:?}");
    }
    for (name, argument) in
        [("sometimes", None), ("traceidratio", Some("1.5")), ("traceidratio", Some("x"))]
    {
        assert!(Sampling::parse(name, argument).is_err(), "{name} {argument:?}");
    }
}

fn config(endpoint: String, queue: usize) -> SpanConfig {
    SpanConfig {
        endpoint,
        headers: [("authorization".to_owned(), "Bearer hunter2".to_owned())].into(),
        timeout: Duration::from_secs(10),
        sampling: Sampling::parse("always_on", None).unwrap(),
        queue,
        batch: queue,
        delay: Duration::from_millis(10),
        resource: vec![("service.name".to_owned(), "test".to_owned())],
    }
}

fn place() -> Place {
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let (context, parent) = (context(2), None);
    Place { context, parent, is_parent_remote: false, started: now, ended: now }
}

fn dropped(metrics: &Metrics, reason: &str) -> u64 {
    let wanted = format!("postrider_spans_dropped_total{{reason=\"{reason}\"}} ");
    let text = metrics.render().unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&wanted));
    line.unwrap().parse().unwrap()
}

/// The collector takes the connection and the request, and never answers.
#[test]
fn a_collector_that_hangs_costs_spans_and_no_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let metrics = Metrics::new("1", "unknown").unwrap();
    let export = Export::new(config(endpoint, 4), metrics.clone()).unwrap();
    export.record(&place(), &Fact::Request(request(None)));
    let (mut stream, _) = listener.accept().unwrap();
    let mut asked = vec![0; 16 * 1024];
    let read = stream.read(&mut asked).unwrap();
    assert!(String::from_utf8_lossy(&asked[..read]).to_lowercase().contains("bearer hunter2"));
    let began = Instant::now();
    for _ in 0..100 {
        export.record(&place(), &Fact::Request(request(None)));
    }
    assert!(began.elapsed() < Duration::from_secs(1), "recording never waits");
    assert_eq!(dropped(&metrics, "queue_full"), 96);
    let began = Instant::now();
    export.stop(Duration::from_millis(200));
    assert!(began.elapsed() < Duration::from_secs(2), "the end is bounded");
}

#[test]
fn a_collector_that_is_away_costs_spans() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    drop(listener);
    let metrics = Metrics::new("1", "unknown").unwrap();
    let export = Export::new(config(endpoint, 4), metrics.clone()).unwrap();
    export.record(&place(), &Fact::Request(request(None)));
    export.stop(Duration::from_secs(20));
    assert_eq!((dropped(&metrics, "not_exported"), dropped(&metrics, "queue_full")), (1, 0));
}

#[test]
fn a_configuration_is_shown_without_its_secrets() {
    let shown = format!("{:?}", config("http://c:4318/v1/traces".to_owned(), 1));
    assert!(shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
}
