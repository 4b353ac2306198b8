//! Every answer in `tests/data` comes to the outcome that the contract's table gives it.

#![expect(clippy::unwrap_used, reason = "a broken file is to fail the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use postrider_domain::{Answer, HostPatterns, Outcome, Target, TargetKind, classify};
use postrider_github::{
    ProbeReading, answer, rate_remaining, read_probe, request_id, token_expiry,
};
use serde_json::Value;

const DISPATCH: TargetKind = TargetKind::RepositoryDispatch;
const WORKFLOW: TargetKind = TargetKind::WorkflowDispatch;

/// Answers to reads are in here too: as the answer to a dispatch each has an outcome as well.
const EXPECTED: [(&str, TargetKind, Outcome); 36] = [
    ("archived-repository-403", DISPATCH, Outcome::Permission),
    ("bad-credentials-401", DISPATCH, Outcome::Credential),
    ("bad-gateway-502-json", DISPATCH, Outcome::ServerError),
    ("bad-json-400", DISPATCH, Outcome::Invalid),
    ("classic-pat-forbidden-by-org-403", DISPATCH, Outcome::Credential),
    ("dispatch-204-classic-pat", DISPATCH, Outcome::Accepted),
    ("dispatch-204-deprecated-api-version", DISPATCH, Outcome::Accepted),
    ("dispatch-204-fine-grained-expiring", DISPATCH, Outcome::Accepted),
    ("fine-grained-lifetime-policy-403", DISPATCH, Outcome::Credential),
    ("get-rate-limit-200", DISPATCH, Outcome::Invalid),
    ("get-rate-limit-404-ghes-disabled", DISPATCH, Outcome::NotFound),
    ("get-repo-200", DISPATCH, Outcome::Invalid),
    ("get-user-200-classic", DISPATCH, Outcome::Invalid),
    ("get-user-403-installation-token", DISPATCH, Outcome::Permission),
    ("installation-token-201", DISPATCH, Outcome::Invalid),
    ("installation-token-201-stateless", DISPATCH, Outcome::Invalid),
    ("installation-token-expired-401", DISPATCH, Outcome::Credential),
    ("list-runs-200", DISPATCH, Outcome::Invalid),
    ("list-runs-200-empty", WORKFLOW, Outcome::Invalid),
    ("missing-event-type-422", DISPATCH, Outcome::Invalid),
    ("missing-user-agent-403", DISPATCH, Outcome::Invalid),
    ("not-an-object-400", DISPATCH, Outcome::Invalid),
    ("not-found-404", DISPATCH, Outcome::NotFound),
    ("not-found-404-scope-too-small", DISPATCH, Outcome::NotFound),
    ("pat-not-accessible-403", DISPATCH, Outcome::Permission),
    ("payload-too-large-422", DISPATCH, Outcome::Invalid),
    ("primary-limit-403", DISPATCH, Outcome::RateLimited),
    ("renamed-301-read", DISPATCH, Outcome::Redirected),
    ("secondary-content-creation-403", DISPATCH, Outcome::RateLimited),
    ("secondary-limit-403-retry-after", DISPATCH, Outcome::RateLimited),
    ("secondary-limit-429-retry-after", DISPATCH, Outcome::RateLimited),
    ("server-error-500", DISPATCH, Outcome::ServerError),
    ("service-unavailable-503", DISPATCH, Outcome::ServerError),
    ("too-many-properties-422", DISPATCH, Outcome::Invalid),
    ("unsupported-api-version-400", DISPATCH, Outcome::Invalid),
    ("validation-failed-422", DISPATCH, Outcome::Invalid),
];

struct Recorded {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Recorded {
    /// As the answer to a dispatch of this kind.
    fn answer(&self, kind: TargetKind) -> Answer {
        answer(dispatch(kind), self.status, &self.headers, &self.body, now())
    }
}

fn dispatch(kind: TargetKind) -> Target {
    let path = match kind {
        TargetKind::WorkflowDispatch => "actions/workflows/1/dispatches",
        TargetKind::RepositoryDispatch | TargetKind::Other => "dispatches",
    };
    let url = format!("https://api.github.com/repos/o/r/{path}").parse().unwrap();
    Target::of(&url, &HostPatterns::github(), true)
}

/// Our clock, near the Date of the recordings.
fn now() -> Timestamp {
    "2026-11-21T12:00:10Z".parse().unwrap()
}

fn recorded() -> BTreeMap<String, Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, parse(&std::fs::read_to_string(path).unwrap()))
        })
        .collect()
}

fn parse(text: &str) -> Recorded {
    let document: Value = serde_json::from_str(text).unwrap();
    let headers = document["headers"].as_object().unwrap().iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        (name.parse::<HeaderName>().unwrap(), value)
    });
    // A string is a body that is not JSON.
    let body = match &document["body"] {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        body => serde_json::to_vec(body).unwrap(),
    };
    let status = u16::try_from(document["status"].as_u64().unwrap()).unwrap();
    Recorded { status, headers: headers.collect(), body }
}

#[test]
fn every_answer_has_its_outcome() {
    let mut recorded = recorded();
    let with_run = recorded.remove("workflow-dispatch-200").unwrap();
    for (kind, outcome) in [(WORKFLOW, Outcome::Accepted), (DISPATCH, Outcome::Invalid)] {
        let answer = with_run.answer(kind);
        assert_eq!(classify(kind, &answer, &[200]).outcome, outcome, "workflow-dispatch-200");
    }
    for (name, kind, outcome) in EXPECTED {
        let one = recorded.remove(name).unwrap_or_else(|| panic!("{name} is missing"));
        let answer = one.answer(kind);
        // GitHub's answers are not judged by the success codes of other targets.
        let classified = classify(kind, &answer, &[200, 201, 202]);
        assert_eq!(classified.outcome, outcome, "{name}");
        assert_eq!(classified.uncertain, one.status == 502, "{name}");
    }
    assert!(recorded.is_empty(), "no expectation for {:?}", recorded.keys());
}

/// What stands on the way may change an answer: its headers are gone or in another order, its text
/// in capitals, its end cut off. None of it makes another answer of it.
#[test]
fn a_damaged_answer_means_the_same() {
    let recorded = recorded();
    for (name, kind, outcome) in EXPECTED {
        let one = &recorded[name];
        if (200..300).contains(&one.status) {
            continue;
        }
        let cut = one.body.len() - one.body.len() / 5;
        let variations = [
            ("without headers", HeaderMap::new(), one.body.clone()),
            ("in capitals", one.headers.clone(), one.body.to_ascii_uppercase()),
            ("cut off", one.headers.clone(), one.body[..cut].to_vec()),
            ("reversed", reversed(&one.headers), one.body.clone()),
        ];
        for (how, headers, body) in variations {
            let answer = Recorded { status: one.status, headers, body }.answer(kind);
            assert_eq!(classify(kind, &answer, &[200]).outcome, outcome, "{name} {how}");
        }
    }
}

/// A page of a proxy in place of each answer: by its status alone.
#[test]
fn a_page_in_its_place_is_judged_by_the_status() {
    for (name, one) in recorded() {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html"))]);
        let page = Recorded { status: one.status, headers, body: b"<html>x</html>".to_vec() };
        let expected = match one.status {
            204 => Outcome::Accepted,
            200..=299 | 500..=599 => Outcome::ServerError,
            300..=399 => Outcome::Redirected,
            401 => Outcome::Credential,
            403 => Outcome::Permission,
            404 => Outcome::NotFound,
            429 => Outcome::RateLimited,
            _ => Outcome::Invalid,
        };
        assert_eq!(classify(DISPATCH, &page.answer(DISPATCH), &[200]).outcome, expected, "{name}");
    }
}

fn reversed(headers: &HeaderMap) -> HeaderMap {
    let mut pairs: Vec<_> =
        headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    pairs.reverse();
    pairs.into_iter().collect()
}

#[test]
fn limits_say_how_long_to_wait() {
    let recorded = recorded();
    let pause = |name: &str| {
        let one = &recorded[name];
        classify(DISPATCH, &one.answer(DISPATCH), &[]).wait
    };
    assert_eq!(pause("secondary-limit-403-retry-after"), Some(Duration::from_mins(1)));
    assert_eq!(pause("secondary-limit-429-retry-after"), Some(Duration::from_mins(1)));
    assert_eq!(pause("secondary-content-creation-403"), None);
    // Date 12:00:00, reset 1795264000 = 12:26:40, and one second.
    assert_eq!(pause("primary-limit-403"), Some(Duration::from_secs(1601)));
}

#[test]
fn probes_read_the_same_answers() {
    let recorded = recorded();
    let reading = |name: &str| {
        let one = &recorded[name];
        read_probe(one.status, &one.headers, &one.body, now())
    };
    let table = [
        ("get-rate-limit-200", ProbeReading::Good),
        ("get-rate-limit-404-ghes-disabled", ProbeReading::Good),
        ("bad-credentials-401", ProbeReading::Refused),
        ("installation-token-expired-401", ProbeReading::Refused),
        ("classic-pat-forbidden-by-org-403", ProbeReading::Refused),
        ("secondary-limit-429-retry-after", ProbeReading::Limited(Some(Duration::from_mins(1)))),
        ("secondary-content-creation-403", ProbeReading::Limited(None)),
        ("not-found-404", ProbeReading::Good),
        ("missing-user-agent-403", ProbeReading::Unknown),
        ("server-error-500", ProbeReading::Unknown),
    ];
    for (name, expected) in table {
        assert_eq!(reading(name), expected, "{name}");
    }
}

#[test]
fn headers_of_recorded_answers() {
    let recorded = recorded();
    let expiring = &recorded["dispatch-204-fine-grained-expiring"].headers;
    assert_eq!(token_expiry(expiring).unwrap().to_string(), "2026-12-01T14:34:04Z");
    assert_eq!(request_id(expiring).unwrap(), "0681:62D5:1E22F03:626F1F6:6920A2C0");
    assert_eq!(rate_remaining(expiring), Some(4870));
    assert_eq!(token_expiry(&recorded["dispatch-204-classic-pat"].headers), None);
}
