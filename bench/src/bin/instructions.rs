//! What every delivery computes, as often as asked, to be run under callgrind: instructions can
//! be counted exactly where times can't. `bench/tests/instructions.rs` guards the counts.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use postrider_domain::{
    Body, BodyMode, DeliveryId, Event, EventName, Extensions, RequestTemplate, Selector, Target,
    TargetKind, Webhook, WebhookUuid, classify, example_body, wants,
};
use postrider_queue::Message;
use postrider_render::{
    CompiledRequest, Redactor, RenderedRequest, Variables, describe_request, describe_response,
};
use secrecy::SecretString;
use uuid::Uuid;

/// Webhooks that one event is held against.
const WEBHOOKS: usize = 100;
const DISPATCH_URL: &str = "https://api.github.com/repos/acme/billing/dispatches";
const USER_AGENT: &str = "postrider/0.1.0";
const EVENT: &str = r#"{"event_name":"contract_requiring_verification_published","broker":"default","consumer":{"name":"checkout","version_number":"1.0.4711","branch":"main","tags":["main","dev"],"labels":[]},"provider":{"name":"billing","version_number":"5f0c1d9a","branch":"main","tags":[],"labels":[]},"pact_url":"https://broker.example/pacts/provider/billing/consumer/checkout/pact-version/1.0.4711/metadata/Y3ZuPTEmY3Z0JTVCJTVEPWE","verification_result_url":"","verification_success":null,"build_url":"","currently_deployed_provider_version_number":""}"#;
const MESSAGE: &str = r#"{"v":1,"delivery_id":"01a2015a-c264-7448-919d-de3ed0dadebb","lane_id":7}"#;
const LIMITED: &str = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}"#;

/// What the cases work on, made once.
struct Fixture {
    event: Event,
    webhooks: Vec<Webhook>,
    compiled: CompiledRequest,
    secrets: BTreeMap<String, SecretString>,
    redactor: Redactor,
    rendered: RenderedRequest,
    accepted: HeaderMap,
    limited: HeaderMap,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (case, count) = (arguments.next().unwrap_or_default(), arguments.next());
    let count = count.and_then(|count| count.parse::<u32>().ok()).unwrap_or_default();
    match Fixture::new().and_then(|fixture| fixture.run(&case, count)) {
        Some(()) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

impl Fixture {
    fn new() -> Option<Self> {
        let event: Event = serde_json::from_str(EVENT).ok()?;
        let request = request();
        let token = SecretString::from("ghp_0123456789abcdefghijklmnopqrstuvwxyz");
        let secrets = BTreeMap::from([("githubToken".to_owned(), token)]);
        let compiled = CompiledRequest::compile(&request);
        let rendered = compiled.render(&variables(&event), &secrets, USER_AGENT).ok()?;
        let redactor = Redactor::for_request(&request, &secrets, &[]);
        let webhooks = (0..WEBHOOKS).map(|number| webhook(&request, number));
        let webhooks = webhooks.collect::<Option<Vec<Webhook>>>()?;
        let (accepted, limited) = (answer_headers(&[]), answer_headers(&[("retry-after", "60")]));
        Some(Self { event, webhooks, compiled, secrets, redactor, rendered, accepted, limited })
    }

    /// `None` for a case that is not known or does not work.
    fn run(&self, case: &str, count: u32) -> Option<()> {
        for _ in 0..count {
            match case {
                "render" => self.render()?,
                "match" => self.match_webhooks()?,
                "classify" => self.classify(),
                "decode" => decode()?,
                "describe" => self.describe(),
                "redact" => self.redact(),
                _ => return None,
            }
        }
        Some(())
    }

    fn render(&self) -> Option<()> {
        let variables = variables(black_box(&self.event));
        let rendered = self.compiled.render(&variables, &self.secrets, USER_AGENT);
        black_box(rendered).ok().map(drop)
    }

    fn match_webhooks(&self) -> Option<()> {
        let event = black_box(&self.event);
        let wanted = self.webhooks.iter().filter(|webhook| wants(webhook, event)).count();
        (black_box(wanted) == 1).then_some(())
    }

    /// An answer that is plain and one that has to be read.
    fn classify(&self) {
        let answers: [(u16, &HeaderMap, &str); 2] =
            [(204, &self.accepted, ""), (403, &self.limited, LIMITED)];
        for (status, headers, body) in black_box(answers) {
            let target = Target {
                kind: TargetKind::RepositoryDispatch,
                is_github_host: true,
                is_below_repos: true,
                has_credential: true,
            };
            let now = Timestamp::UNIX_EPOCH;
            let answer = postrider_github::answer(target, status, headers, body.as_bytes(), now);
            black_box(classify(target.kind, &answer, &[200, 204]));
        }
    }

    /// Both as an attempt keeps them.
    fn describe(&self) {
        black_box(describe_request(black_box(&self.rendered), &self.redactor));
        let (status, headers) = (StatusCode::NO_CONTENT, black_box(&self.accepted));
        black_box(describe_response(status, headers, b"", &self.redactor));
    }

    fn redact(&self) {
        black_box(self.redactor.redact(black_box(EVENT)));
    }
}

fn decode() -> Option<()> {
    black_box(Message::from_body(black_box(MESSAGE.as_bytes()))).ok()?;
    black_box(serde_json::from_str::<Event>(black_box(EVENT))).ok().map(drop)
}

fn variables(event: &Event) -> Variables<'_> {
    let delivery_id = DeliveryId(Uuid::from_u128(0x01a2_015a_c264_7448_919d_de3e_d0da_debb));
    Variables { event, event_name: event.event_name.as_str(), delivery_id }
}

fn request() -> RequestTemplate {
    let headers = [
        ("accept", "application/vnd.github+json"),
        ("authorization", "Bearer ${user.githubToken}"),
        ("content-type", "application/json"),
        ("x-github-api-version", "2022-11-28"),
    ];
    RequestTemplate {
        method: "POST".to_owned(),
        url: DISPATCH_URL.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Some(Body::Json(example_body())),
        body_mode: BodyMode::Json,
        username: None,
        password: None,
    }
}

/// Only the last one is for the provider of the event.
fn webhook(request: &RequestTemplate, number: usize) -> Option<Webhook> {
    let provider = if number + 1 == WEBHOOKS { "billing" } else { "invoices" };
    Some(Webhook {
        uuid: format!("webhook-number-{number:05}").parse::<WebhookUuid>().ok()?,
        description: None,
        consumer: None,
        provider: Some(Selector::Name(provider.to_owned())),
        enabled: true,
        events: vec![EventName::ContractRequiringVerificationPublished],
        request: request.clone(),
        team_uuid: None,
        extensions: Extensions::default(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    })
}

/// As GitHub sends them.
fn answer_headers(more: &[(&'static str, &'static str)]) -> HeaderMap {
    let usual = [
        ("date", "Sun, 22 Nov 2026 09:00:00 GMT"),
        ("x-github-request-id", "0681:62D5:1E22F03:626F1F6:6920A2C0"),
        ("x-github-media-type", "github.v3; format=json"),
        ("x-github-api-version-selected", "2022-11-28"),
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4711"),
        ("x-ratelimit-reset", "1795340400"),
        ("x-ratelimit-used", "289"),
        ("x-ratelimit-resource", "core"),
        ("access-control-allow-origin", "*"),
        ("strict-transport-security", "max-age=31536000; includeSubdomains; preload"),
        ("x-content-type-options", "nosniff"),
        ("server", "github.com"),
    ];
    let all = usual.iter().chain(more);
    let header = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    all.map(header).collect()
}
