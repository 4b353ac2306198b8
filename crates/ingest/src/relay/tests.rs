use postrider_domain::{DeliveryId, EventName, Pacticipant};
use postrider_render::Variables;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use url::form_urlencoded;
use uuid::Uuid;

use super::*;

fn params(query: &str, body: &str) -> Params {
    let mut params = Params::of_query(query).unwrap();
    params.add_body(body.as_bytes()).unwrap();
    params
}

fn broken_by(query: &str, body: &[u8]) -> String {
    match Params::of_query(query).unwrap().add_body(body) {
        Err(BodyFault::Broken(fault)) => fault,
        other => panic!("not broken: {other:?}"),
    }
}

fn event_of(query: &str, body: &str) -> Result<Event, Problem> {
    event::event("b".to_owned(), &params(query, body))
}

const MINIMAL: &str = "eventName=contract_published&consumerName=C&providerName=P";

/// The parameters as the broker puts them into a URL: CGI-escaped.
fn query_of(event: &Event) -> String {
    let name = event.event_name.as_str();
    let id = DeliveryId(Uuid::nil());
    let variables = Variables { event, event_name: name, delivery_id: id };
    let pairs = BrokerVar::ALL.map(|var| (var.as_str(), variables.value(var)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[test]
fn a_query_is_form_decoded() {
    let event = event_of(
        "eventName=contract_published&consumerName=Con+Sumer&providerName=Pro%2Fvider%2B\
         &consumerVersionTags=dev%2C+te%22st&consumerVersionBranch=feat%2Fx%20y&whatever=1",
        "",
    )
    .unwrap();
    assert_eq!(event.consumer.name, "Con Sumer");
    assert_eq!(event.provider.name, "Pro/vider+");
    assert_eq!(event.consumer.tags, ["dev", "te\"st"]);
    assert_eq!(event.consumer.branch, "feat/x y");
    assert!(event.consumer.labels.is_empty() && event.build_url.is_empty());
}

#[test]
fn the_query_wins_value_by_value() {
    let body = r#"{"consumerName":"other","buildUrl":"u","providerVersionNumber":"9",
        "consumerVersionBranch":null,"unknown":{"deep":[1]},"number":5}"#;
    let read = params(&format!("{MINIMAL}&providerVersionNumber="), body);
    assert_eq!(read.get(BrokerVar::ConsumerName), "C");
    assert_eq!(read.get(BrokerVar::ProviderVersionNumber), "", "an empty value is a value");
    assert_eq!(read.get(BrokerVar::BuildUrl), "u");
    assert_eq!(read.get(BrokerVar::ConsumerVersionBranch), "");
}

#[test]
fn variables_that_the_broker_does_not_know_are_absent() {
    let query = format!("{MINIMAL}&buildUrl=%24%7Bpactbroker.buildUrl%7D");
    let body = r#"{"buildUrl":"b","consumerLabels":"${pactbroker.consumerLabels}"}"#;
    let read = params(&query, body);
    assert_eq!(read.get(BrokerVar::BuildUrl), "b");
    assert!(read.list(BrokerVar::ConsumerLabels).is_empty());
    for kept in ["${pactbroker.buildUrl} ", "${user.x}", "a ${pactbroker.x}", "${pactbroker.a-b}"] {
        let body = serde_json::json!({ "buildUrl": kept }).to_string();
        assert_eq!(params(MINIMAL, &body).get(BrokerVar::BuildUrl), kept);
    }
}

#[test]
fn bodies_without_parameters() {
    for body in ["", " \n", "null", "{}", r#"{"a":1}"#] {
        assert_eq!(params(MINIMAL, body), params(MINIMAL, ""), "{body}");
    }
}

#[test]
fn broken_bodies_say_where() {
    let at = |body: &str| broken_by("", body.as_bytes());
    assert!(at("{\"a\":\n\"b\"c\"}").contains("line 2 column 4"), "{}", at("{\"a\":\n\"b\"c\"}"));
    assert!(at("{").contains("line 1 column 1"));
    assert!(at("[]").contains("must be a JSON object, not an array"));
    assert!(at("7").contains("must be a JSON object, not a number"));
    assert!(at(r#"{"x":"\u0000"}"#).contains("U+0000"));
    assert!(at(&"[".repeat(100)).contains("nested"));
    assert!(broken_by("", b"{\"a\":\"\xff\"}").contains("the bytes at offset 6"));
}

#[test]
fn values_of_the_wrong_type_are_named_unless_the_query_has_them() {
    let body = r#"{"consumerName":7,"buildUrl":["x"],"eventName":null}"#;
    let mut read = Params::of_query("consumerName=C").unwrap();
    let Err(BodyFault::Values(problem)) = read.add_body(body.as_bytes()) else { panic!("taken") };
    let pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/buildUrl"]);
    assert_eq!(problem.errors[0].detail, "must be a string, not an array");
}

#[test]
fn queries_that_are_wrong() {
    for (query, status, named) in [
        ("consumerName=a&consumerName=a".to_owned(), 400, "consumerName is given twice"),
        ("x=%FF".to_owned(), 400, "UTF-8"),
        ("buildUrl=a%00".to_owned(), 400, "U+0000"),
        (format!("x={}", "y".repeat(32 * 1024)), 414, "32 KiB"),
    ] {
        let problem = Params::of_query(&query).unwrap_err();
        assert_eq!(problem.status.as_u16(), status);
        assert!(problem.detail.contains(named), "{}", problem.detail);
    }
}

#[test]
fn every_missing_field_is_listed() {
    let problem = event_of("consumerName=&eventName=", "").unwrap_err();
    let pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/eventName", "/consumerName", "/providerName"]);
    let long = format!("eventName=x&consumerName={}&providerName=P", "n".repeat(256));
    let problem = event_of(&long, "").unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.errors[0].pointer.as_str()),
        (400, "/consumerName")
    );
    let unknown = event_of("eventName=contract_publishd&consumerName=C&providerName=P", "");
    let problem = unknown.unwrap_err();
    assert_eq!(problem.status.as_u16(), 422);
    assert!(problem.detail.contains("did you mean contract_published"), "{}", problem.detail);
}

#[test]
fn results_by_name_then_by_status_word() {
    let result = |name: &str, more: &str| {
        let query = format!("eventName={name}&consumerName=C&providerName=P&{more}");
        event_of(&query, "").unwrap().verification_success
    };
    assert_eq!(result("provider_verification_succeeded", ""), Some(true));
    assert_eq!(
        result("provider_verification_failed", "githubVerificationStatus=success"),
        Some(false)
    );
    let published = "provider_verification_published";
    for (more, expected) in [
        ("", None),
        ("githubVerificationStatus=success", Some(true)),
        ("githubVerificationStatus=failure", Some(false)),
        ("githubVerificationStatus=pending", None),
        ("githubVerificationStatus=&gitlabVerificationStatus=failed", Some(false)),
        ("azureDevOpsVerificationStatus=succeeded", Some(true)),
        ("bitbucketVerificationStatus=FAILED", Some(false)),
        ("bitbucketVerificationStatus=INPROGRESS", None),
    ] {
        assert_eq!(result(published, more), expected, "{more}");
    }
    assert_eq!(result("contract_published", "githubVerificationStatus=success"), Some(true));
}

fn identity(event: &Event) -> Identity {
    Identity::of(event, Instant::now()).unwrap()
}

#[test]
fn repeats_are_known_by_what_stays_the_same() {
    let full = format!(
        "{MINIMAL}&pactUrl=http://b/pact-version/5d/metadata/Y3&consumerVersionNumber=1\
         &providerVersionNumber=2&verificationResultUrl=v"
    );
    let first = event_of(&full, "").unwrap();
    let key = identity(&first).key.unwrap();
    let mut later = first.clone();
    later.consumer.tags.push("prod".to_owned());
    later.consumer.labels.push("l".to_owned());
    later.provider.branch = "main".to_owned();
    later.verification_success = Some(true);
    later.verification_result_url.push_str("/results/2");
    later.pact_url.push_str("zz");
    assert_eq!(identity(&later).key.as_ref(), Some(&key));
    let changes: [fn(&mut Event); 7] = [
        |event| event.broker = "other".to_owned(),
        |event| event.event_name = EventName::ContractContentChanged,
        |event| event.pact_url = event.pact_url.replace("5d", "5e"),
        |event| event.consumer.version_number.push('x'),
        |event| event.provider.version_number.push('x'),
        |event| event.consumer.name.push('x'),
        |event| event.provider.name.push('x'),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut other = first.clone();
        change(&mut other);
        assert_ne!(identity(&other).key.as_ref(), Some(&key), "change {i}");
    }
}

#[test]
fn content_that_tells_nothing_is_no_key() {
    let bare = identity(&event_of(MINIMAL, "").unwrap());
    assert!(bare.key.is_none() && bare.term.is_none());
    for telling in ["pactUrl=u", "consumerVersionNumber=1"] {
        let identity = identity(&event_of(&format!("{MINIMAL}&{telling}"), "").unwrap());
        assert!(identity.key.is_some() && identity.term.is_some(), "{telling}");
    }
}

fn text() -> impl Strategy<Value = String> {
    "[ -~é中\"\\\\&+%#=,]{0,20}"
}

/// Items of a list without what the broker puts between them.
fn list() -> impl Strategy<Value = Vec<String>> {
    let item = "[!-+.-~é\"\\\\&+%]{1,8}( [!-+.-~é\"\\\\&+%]{1,8}){0,2}";
    prop::collection::vec(item, 0..4)
}

fn side() -> impl Strategy<Value = Pacticipant> {
    ("[!-~]{1,9}( [!-~é]{1,9})?", text(), text(), list(), list(), list()).prop_map(
        |(name, version_number, branch, tags, labels, version_descriptions)| Pacticipant {
            name,
            version_number,
            branch,
            tags,
            labels,
            version_descriptions,
        },
    )
}

fn any_event() -> impl Strategy<Value = Event> {
    let name = prop::sample::select(EventName::ALL.to_vec());
    let texts = prop::array::uniform4(text());
    (name, side(), side(), texts, any::<Option<bool>>()).prop_map(
        |(event_name, mut consumer, provider, texts, result)| {
            let [pact_url, verification_result_url, build_url, deployed] = texts;
            consumer.version_descriptions = Vec::new();
            let verification_success = match event_name {
                EventName::ProviderVerificationSucceeded => Some(true),
                EventName::ProviderVerificationFailed => Some(false),
                _ => result,
            };
            Event {
                event_name,
                occurred_at: None,
                broker: "b".to_owned(),
                consumer,
                provider,
                pact_url,
                verification_result_url,
                verification_success,
                build_url,
                currently_deployed_provider_version_number: deployed,
            }
        },
    )
}

proptest! {
    /// What a broker puts into a URL arrives as it was, whatever is in it.
    #[test]
    fn a_query_loses_nothing(event in any_event()) {
        let read = event_of(&query_of(&event), "").unwrap();
        prop_assert_eq!(read, event);
    }

    /// A body that is escaped properly says the same as the query.
    #[test]
    fn an_unbroken_body_loses_nothing(event in any_event()) {
        let query = query_of(&event);
        let members = form_urlencoded::parse(query.as_bytes());
        let members = members.map(|(name, value)| (name.into_owned(), value.into_owned().into()));
        let body = serde_json::Value::Object(members.collect()).to_string();
        prop_assert_eq!(event_of("", &body).unwrap(), event);
    }

    /// Any bytes are read or refused, and refused as the caller's fault.
    #[test]
    fn nothing_breaks_the_reader(
        query in "[ -~]{0,40}",
        mixed in prop::collection::vec((prop::sample::select(BrokerVar::ALL.to_vec()), text()), 0..6),
        body in prop::collection::vec(any::<u8>(), 0..60),
        prefix in prop::sample::select(vec!["", "{\"eventName\":\"", "{\"consumerName\":"]),
        given in prop::sample::select(vec![MINIMAL, ""]),
    ) {
        let mixed: String =
            mixed.iter().flat_map(|(var, text)| ["&", var.as_str(), "=", text]).collect();
        let body = [prefix.as_bytes(), &body].concat();
        match Params::of_query(&format!("{given}&{query}{mixed}")) {
            Err(problem) => prop_assert!(problem.status.is_client_error()),
            Ok(mut params) => {
                drop(params.add_body(&body));
                if let Err(problem) = event::event("b".to_owned(), &params) {
                    prop_assert!(problem.status.is_client_error());
                }
            }
        }
    }
}
