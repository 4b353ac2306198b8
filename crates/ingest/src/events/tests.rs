use http::{HeaderName, HeaderValue};
use postrider_telemetry::TRACEPARENT;
use proptest::prelude::{Strategy, any, prop, proptest};

use super::*;

type Read = Result<(bool, Vec<Result<Candidate, Problem>>), Problem>;

fn read_with(headers: &[(&'static str, &str)], body: &[u8]) -> Read {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    let form = Form::of(&map)?;
    let header_key = idempotency_key(&map)?;
    let source = EventSource::Api;
    let call = Call { form, source, header_key, trace: trace_of(&map) };
    let Pieces { many, pieces } = form.split(text_of(body)?)?;
    Ok((many, pieces.iter().map(|piece| call.read_piece(&map, piece)).collect()))
}

fn read(content_type: &str, body: &str) -> Read {
    read_with(&[("content-type", content_type)], body.as_bytes())
}

const EVENT: &str =
    r#"{"event_name":"contract_published","consumer":{"name":"C"},"provider":{"name":"P"}}"#;

fn keys(read: Read) -> Vec<Option<String>> {
    read.unwrap().1.into_iter().map(|one| one.unwrap().key).collect()
}

#[test]
fn forms() {
    let batch = format!(" [{EVENT},\n{EVENT}]");
    let lines = format!("{EVENT}\r\n\n  {EVENT}");
    for (content_type, body, many, count) in [
        ("application/json", EVENT, false, 1),
        ("APPLICATION/JSON; charset=\"UTF-8\"", EVENT, false, 1),
        ("application/json", &batch, true, 2),
        ("application/x-ndjson", &lines, true, 2),
        ("application/x-ndjson", EVENT, true, 1),
    ] {
        let (is_many, events) = read(content_type, body).unwrap();
        assert_eq!((is_many, events.len()), (many, count), "{content_type} {body}");
        assert!(events.iter().all(Result::is_ok));
    }
}

#[test]
fn keys_by_header_id_and_cloud_event() {
    let json = ("content-type", "application/json");
    let with_id = EVENT.replacen('{', r#"{"id":"k","#, 1);
    assert_eq!(keys(read_with(&[json], EVENT.as_bytes())), [None]);
    assert_eq!(keys(read_with(&[json], with_id.as_bytes())), [Some("id:k".to_owned())]);
    let header = [json, ("idempotency-key", "h 1")];
    assert_eq!(keys(read_with(&header, with_id.as_bytes())), [Some("header:h 1".to_owned())]);
    let batch = format!("[{EVENT},{EVENT}]");
    assert_eq!(
        keys(read_with(&header, batch.as_bytes())),
        [Some("header:h 1/0".to_owned()), Some("header:h 1/1".to_owned())]
    );
}

fn cloud(more: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"i","source":"/s","type":"io.x.contract_published",
        "data":{{"consumer":{{"name":"C"}},"provider":{{"name":"P"}}}}{more}}}"#
    )
}

#[test]
fn cloud_events() {
    let structured = read("application/cloudevents+json; charset=utf-8", &cloud(""));
    assert_eq!(keys(structured), [Some("ce:/s\ni".to_owned())]);
    let batch = read("application/cloudevents-batch+json", &format!("[{}]", cloud("")));
    assert!(batch.as_ref().unwrap().0);
    assert_eq!(keys(batch), [Some("ce:/s\ni".to_owned())]);
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "a%20b"),
        ("ce-source", "/s"),
        ("ce-type", "provider_verification_failed"),
        ("ce-time", "2026-11-21T09:00:00Z"),
    ];
    let body = br#"{"consumer":{"name":"C"},"provider":{"name":"P"}}"#;
    let (many, mut events) = read_with(&binary, body).unwrap();
    let event = events.remove(0).unwrap();
    assert!(!many);
    assert_eq!(event.key, Some("ce:/s\na b".to_owned()));
    assert_eq!(event.event.event().event_name.as_str(), "provider_verification_failed");
    assert_eq!(event.event.event().occurred_at, Some("2026-11-21T09:00:00Z".parse().unwrap()));
    let base64 = r#"{"specversion":"1.0","id":"i","source":"/s","type":"contract_published",
        "data_base64":"eyJjb25zdW1lciI6eyJuYW1lIjoiQyJ9LCJwcm92aWRlciI6eyJuYW1lIjoiUCJ9fQ=="}"#;
    assert_eq!(keys(read("application/cloudevents+json", base64)), [Some("ce:/s\ni".to_owned())]);
}

#[test]
fn faulty_cloud_events() {
    let fault = |body: String| {
        let problem = read("application/cloudevents+json", &body).unwrap().1.remove(0).unwrap_err();
        (problem.status.as_u16(), problem.errors[0].pointer.clone())
    };
    let expect = |status: u16, pointer: &str| (status, pointer.to_owned());
    assert_eq!(fault(cloud("").replace("1.0", "0.3")), expect(400, "/specversion"));
    assert_eq!(fault(cloud("").replace(r#""i""#, "1")), expect(400, "/id"));
    assert_eq!(fault(cloud("").replace("/s", "")), expect(400, "/source"));
    assert_eq!(fault(cloud("").replace("contract_p", "x_p")), expect(422, "/type"));
    assert_eq!(fault(cloud("").replace("data", "date")), expect(400, "/data"));
    assert_eq!(fault(cloud("").replace("\"C\"", "7")), expect(400, "/data/consumer/name"));
    assert_eq!(fault(cloud(r#","time":"now""#)), expect(400, "/time"));
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "i"),
        ("ce-source", "/s"),
    ];
    let problem = read_with(&binary, EVENT.as_bytes()).unwrap().1.remove(0).unwrap_err();
    assert!(problem.detail.contains("the header ce-type is required"), "{}", problem.detail);
}

#[test]
fn fingerprints_see_content_only() {
    let of = |body: &str| read("application/json", body).unwrap().1.remove(0).unwrap().fingerprint;
    let reordered = r#"{"provider":{"name":"P"},"id":"k","x":1,"consumer":{"name":"C","branch":null},
        "event_name":"contract_published"}"#;
    assert_eq!(of(EVENT), of(reordered));
    assert_ne!(of(EVENT), of(&EVENT.replace("\"P\"", "\"Q\"")));
}

#[test]
fn traces_are_continued() {
    let mut headers = HeaderMap::new();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    headers.insert(TRACEPARENT, parent.parse().unwrap());
    let trace = trace_of(&headers);
    assert_eq!(trace.trace_id_hex(), "0af7651916cd43dd8448eb211c80319c");
    headers.insert(TRACEPARENT, "nonsense".parse().unwrap());
    assert_ne!(trace_of(&headers).trace_id_hex(), trace.trace_id_hex());
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "event_name",
        "consumer",
        "provider",
        "name",
        "tags",
        "id",
        "specversion",
        "type",
        "data",
        "source",
        "broker",
        "occurred_at",
        "verification_success",
        "x",
    ]);
    let leaf = proptest::prop_oneof![
        proptest::strategy::Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        proptest::strategy::Just("contract_published".into()),
        proptest::strategy::Just("1.0".into()),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        proptest::prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

fn is_no_server_error(read: &Read) -> bool {
    match read {
        Ok((_, events)) => events.iter().all(|one| match one {
            Ok(_) => true,
            Err(problem) => problem.status.is_client_error() && !problem.detail.is_empty(),
        }),
        Err(problem) => problem.status.is_client_error() && !problem.detail.is_empty(),
    }
}

proptest! {
    #[test]
    fn no_json_is_a_server_error(value in any_json(), form in 0_usize..4) {
        let types = ["application/json", "application/x-ndjson", "application/cloudevents+json",
            "application/cloudevents-batch+json"];
        assert!(is_no_server_error(&read(types[form], &value.to_string())));
    }

    #[test]
    fn no_bytes_are_a_server_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let headers = [("content-type", "application/json")];
        assert!(is_no_server_error(&read_with(&headers, &bytes)));
    }
}

#[test]
fn large_calls_are_parted_by_number_and_by_size() {
    let sizes = |lengths: &[usize]| {
        let texts: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        let pieces = texts.iter().map(|text| Piece { text, index: None }).collect::<Vec<_>>();
        parts(&pieces).map(<[Piece<'_>]>::len).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&[1; 1_203]), [500, 500, 203]);
    assert_eq!(sizes(&[MAX_EVENT, MAX_EVENT, 1]), [1, 1, 1]);
    assert_eq!(sizes(&[MAX_EVENT + 1, MAX_EVENT / 2, MAX_EVENT / 2, 1]), [1, 2, 1]);
    assert_eq!(sizes(&[]), [] as [usize; 0]);
}
