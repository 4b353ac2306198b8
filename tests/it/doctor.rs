//! `doctor`: one story for each thing that can be wrong, through the real program, a stand-in for a
//! broker and one for GitHub.

mod next;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_github_double::{Double, Options, Play};
use postrider_testkit::broker::{Model, ScriptedBroker};
use serde_json::{Value, json};

use crate::harness::{
    Api, Cluster, EVENT_NAME, Looking, Mode, Plan, SOON, event, hook_webhook, run_with, wait_until,
    webhook,
};

const CONSUMER: &str = "checkout";
/// As in the event of the harness.
const VERSION: &str = "1.0.1";
const HEAD: &str = "5f0c1d9";

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// Providers, each with one story.
const STORIES: [(&str, &str); 22] = [
    ("well", "all_well"),
    ("elsewhere", "nothing_to_verify"),
    ("headless", "provider_not_there"),
    ("untold", "event_not_received"),
    ("unwanted", "no_webhook"),
    ("overfull", "render_error"),
    ("valueless", "secret_missing"),
    ("dead", "credential_dead"),
    ("halted", "held"),
    ("hurried", "limited"),
    ("inside", "blocked"),
    ("forbidden", "permission_missing"),
    ("nowhere", "target_missing"),
    ("picky", "payload_rejected"),
    ("broken", "target_down"),
    ("given-up", "discarded"),
    ("running", "in_progress"),
    ("idle", "no_run"),
    ("red", "run_failed"),
    ("green", "run_without_result"),
    ("silent", "no_result"),
    ("kept-not", "verification_failed"),
];

/// Another story, of a version that came later.
const LATER: &str = "later";

fn providers() -> impl Iterator<Item = &'static str> {
    STORIES.into_iter().map(|(provider, _)| provider).chain([LATER])
}

/// One version of the consumer has a contract with every provider.
fn publish_all(model: &mut Model) {
    model.main_branch(CONSUMER, Some("main"), ago(400));
    model.build_on(CONSUMER, VERSION, "main", ago(2));
    for provider in providers() {
        if provider != "headless" {
            model.main_branch(provider, Some("main"), ago(400));
            model.build_on(provider, HEAD, "main", ago(300));
        }
        model.publish(CONSUMER, VERSION, provider, "content", ago(2));
    }
    model.verify("well", HEAD, CONSUMER, VERSION, true, ago(1));
    model.verify("elsewhere", HEAD, CONSUMER, VERSION, true, ago(1));
    model.verify("kept-not", HEAD, CONSUMER, VERSION, false, ago(1));
    model.verify(LATER, HEAD, CONSUMER, VERSION, true, ago(1));
    model.build_on(LATER, "m2", "main", ago(0));
}

struct Scene {
    double: Double,
    broker: ScriptedBroker,
    cluster: Cluster,
    api: Api,
}

impl Scene {
    async fn set_up() -> Result<Self> {
        Self::set_up_with("1 3600", None).await
    }

    /// With these waits between attempts, and the stand-in for GitHub as a GitHub host, if it is to
    /// be one that accepts these tokens.
    async fn set_up_with(schedule: &str, tokens: Option<[&str; 2]>) -> Result<Self> {
        let options = Options::default();
        let double = Double::start(match tokens {
            Some(tokens) => options.with_tokens(tokens),
            None => options,
        })
        .await?;
        let broker = ScriptedBroker::start().await?;
        broker.model(publish_all);
        broker.answer_of("/webhooks", Some((200, r#"{"_links":{"pb:webhooks":[]}}"#)));
        let plan = Plan::new(Mode::Embedded)
            .set("PACT_BROKER_BASE_URL", broker.url())
            .set("SUSTAINED_FAILURES_FOR", "1s")
            .set("WEBHOOK_RETRY_SCHEDULE", schedule);
        let plan = match tokens {
            Some(_) => plan.set("GITHUB_HOSTS", double.addr()).set("LANE_RATE", "200/s"),
            None => plan,
        };
        let cluster = plan.start().await?;
        let api = cluster.api()?;
        Ok(Self { double, broker, cluster, api })
    }

    /// A webhook at the stand-in for GitHub, with a secret of its own.
    async fn dispatches(&self, provider: &str, value: Option<&str>) -> Result<Value> {
        let secret = format!("token-{provider}");
        if let Some(value) = value {
            self.api.set_secret(&secret, value).await?;
        }
        let repo = format!("acme/{provider}");
        Ok(webhook(&self.double.base_url(), &repo, provider, &secret))
    }

    /// Registers the usual webhook; its uuid.
    async fn registered(&self, provider: &str) -> Result<String> {
        let document = self.dispatches(provider, Some("test-token")).await?;
        self.api.create_webhook(&document).await
    }

    async fn told(&self, provider: &str) -> Result<Value> {
        self.api.publish(&event(1, provider)).await
    }

    /// What is answered to a provider's runs from now on.
    fn runs(&self, provider: &str, runs: &Value) -> Result<()> {
        let listed = json!({"total_count": 1, "workflow_runs": [runs]}).to_string();
        let play = Play::Status { status: 200, headers: Vec::new(), body: listed };
        let target = format!("GET /repos/acme/{provider}/actions/runs");
        Ok(self.double.script_repeating(&target, vec![play])?)
    }

    /// A provider's webhook, its event, and the run that the dispatch started.
    async fn ran(&self, provider: &str, status: &str, conclusion: Option<&str>) -> Result<()> {
        self.registered(provider).await?;
        let told = self.told(provider).await?;
        let id = told["deliveries"][0]["id"].as_str().context("a delivery")?.to_owned();
        self.runs(
            provider,
            &json!({
                "display_title": format!("verify {id}"), "status": status,
                "conclusion": conclusion, "html_url": "https://github.com/acme/r/actions/runs/1",
            }),
        )
    }

    async fn examined(&self, query: &str) -> Result<Value> {
        let path = format!("/api/v1/doctor?consumer={CONSUMER}&{query}");
        self.api.get(&path).await?.ok()
    }

    /// Waits until the provider's verdict is this one.
    async fn verdict(&self, provider: &str, expected: &str) -> Result<Value> {
        let what = format!("{provider} to be {expected}");
        wait_until(&what, SOON, async || {
            let report = self.examined(&format!("provider={provider}")).await?;
            let is_so = report["verdict"] == expected;
            Ok(if is_so { Looking::Found(report) } else { Looking::NotYet(report.to_string()) })
        })
        .await
    }

    async fn run(&self, args: &[&str]) -> Result<(Option<i32>, String)> {
        let variables = [("POSTRIDER_URL".to_owned(), self.api.base().to_owned())];
        let all = [&["doctor", "--consumer", CONSUMER], args].concat();
        let output = run_with(&all, &variables, "").await?;
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
    }

    /// What goes wrong before a request leaves, or is held back.
    async fn unsent(&self) -> Result<()> {
        self.told("unwanted").await?;
        let mut overfull = self.dispatches("overfull", Some("test-token")).await?;
        for number in 0..11 {
            let payload = &mut overfull["request"]["body"]["client_payload"];
            payload[format!("more-{number}")] = json!("x");
        }
        self.api.create_webhook(&overfull).await?;
        let valueless = self.dispatches("valueless", None).await?;
        self.api.create_webhook(&valueless).await?;
        let dead = self.dispatches("dead", Some("revoked-token")).await?;
        self.api.create_webhook(&dead).await?;
        let inside = hook_webhook("http://10.255.255.1", "inside", "inside");
        self.api.create_webhook(&inside).await?;
        for provider in ["overfull", "valueless", "dead", "inside"] {
            self.told(provider).await?;
        }
        self.registered("halted").await?;
        self.hold("halted").await?;
        self.told("halted").await?;
        let uuid = self.registered("given-up").await?;
        self.hold("given-up").await?;
        self.told("given-up").await?;
        let gone = self.api.call("DELETE", &format!("/webhooks/{uuid}"))?;
        ensure!(self.api.send(gone).await?.status == 204);
        Ok(())
    }

    async fn hold(&self, provider: &str) -> Result<()> {
        let ending = format!("/token-{provider}");
        let lane = self.api.lane(&ending).await?.context("a lane")?;
        let name = json!({"lane": lane["name"]});
        self.api.with_json("POST", "/api/v1/lanes/hold", &name).await?.ok()?;
        Ok(())
    }

    /// What GitHub makes of requests and dispatches.
    async fn sent(&self) -> Result<()> {
        let waits = |seconds: &str| Play::Status {
            status: 429,
            headers: vec![("retry-after".to_owned(), seconds.to_owned())],
            body: String::new(),
        };
        for (provider, play) in [
            ("hurried", waits("3600")),
            ("forbidden", Play::Recorded("pat-not-accessible-403")),
            ("nowhere", Play::Recorded("not-found-404")),
            ("picky", Play::status(422)),
            ("broken", Play::status(500)),
        ] {
            self.double.script_repeating(&format!("acme/{provider}"), vec![play])?;
            self.registered(provider).await?;
            self.told(provider).await?;
        }
        self.registered("idle").await?;
        self.told("idle").await?;
        self.ran("running", "in_progress", None).await?;
        self.ran("red", "completed", Some("failure")).await?;
        self.ran("green", "completed", Some("success")).await?;
        let silent = hook_webhook(&self.double.base_url(), "silent", "silent");
        self.api.create_webhook(&silent).await?;
        self.told("silent").await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_story_has_its_verdict() -> Result<()> {
    let scene = Scene::set_up().await?;
    scene.registered("well").await?;
    scene.told("well").await?;
    scene.unsent().await?;
    scene.sent().await?;
    for (provider, verdict) in STORIES {
        let report = scene.verdict(provider, verdict).await?;
        let hops = report["hops"].as_array().context("hops")?;
        ensure!(hops.len() == 8 && hops[0]["hop"] == "published", "{report:#}");
        let is_fine = verdict == "all_well" || verdict == "nothing_to_verify";
        ensure!(report["next"].as_array().is_some_and(|next| next.is_empty() == is_fine));
    }
    let lacks = scene.verdict("valueless", "secret_missing").await?;
    ensure!(lacks["next"][0] == "postrider secrets set token-valueless", "{lacks:#}");
    let later = scene.verdict(LATER, "wrong_provider_version").await?;
    ensure!(later["provider_version"] == "m2", "{later:#}");
    let red = scene.verdict("red", "run_failed").await?;
    let links = red["hops"][5]["links"].to_string();
    ensure!(links.contains("https://github.com/acme/r/actions/runs/1"), "{red:#}");

    let unpublished = scene.examined("provider=well&version=9.9.9").await?;
    ensure!(unpublished["verdict"] == "not_published", "{unpublished:#}");
    // A version without any contract, after one on its branch that had some.
    scene.broker.model(|model| {
        model.build_on(CONSUMER, "9.0.0", "main", ago(0));
        model.build_on(CONSUMER, "9.0.1", "new", ago(0));
    });
    let dropped = scene.examined("provider=well&version=9.0.0").await?;
    ensure!(dropped["verdict"] == "nothing_to_verify", "{dropped:#}");
    let first = scene.examined("provider=well&version=9.0.1").await?;
    ensure!(first["verdict"] == "not_published", "{first:#}");
    let (code, text) = scene.run(&["--provider", "well"]).await?;
    ensure!(code == Some(0) && text.starts_with("all_well: "), "{code:?} {text}");
    let (code, text) = scene.run(&["--provider", "untold", "-o", "json"]).await?;
    let report: Value = serde_json::from_str(&text)?;
    ensure!(code == Some(1) && report["verdict"] == "event_not_received", "{code:?} {text}");
    let (code, text) = scene.run(&["--provider", "well", "--broker", "other"]).await?;
    ensure!(code == Some(3) && text.starts_with("unknown: "), "{code:?} {text}");
    let (code, text) = scene.run(&["--provider", "well", "--environment", "prod"]).await?;
    ensure!(code == Some(1) && text.starts_with("provider_not_there: "), "{code:?} {text}");
    scene.cluster.finish().await
}

/// The broker says why it told nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_an_event_did_not_come() -> Result<()> {
    let scene = Scene::set_up().await?;
    let answer = |of: &str, body: &Value| {
        scene.broker.answer_of(of, Some((200, &body.to_string())));
    };
    let relay = |enabled: bool, event: &str| {
        answer(
            "/webhooks/relay-1",
            &json!({
                "uuid": "relay-1", "enabled": enabled, "events": [{"name": event}],
                "request": {"url": "https://p.example/hooks/broker?eventName=${pactbroker.eventName}"},
            }),
        );
        scene.broker.answer_of("/webhooks", None);
        let links = [json!({"href": format!("{}/webhooks/relay-1", scene.broker.url())})];
        answer("/webhooks", &json!({"_links": {"pb:webhooks": links}}));
    };
    let told = async |words: &str| {
        let report = scene.verdict("untold", "event_not_received").await?;
        let summary = report["summary"].as_str().unwrap_or_default().to_owned();
        ensure!(summary.contains(words), "{words:?} is not told: {report:#}");
        Ok(())
    };
    told("no webhook that comes here").await?;
    relay(false, EVENT_NAME);
    told("is disabled").await?;
    relay(true, "contract_published");
    told("is for other events: contract_published").await?;
    relay(true, EVENT_NAME);
    told("a broker that is restarted forgets its calls").await?;
    scene.broker.trouble(Some((500, None, "")));
    let away = scene.examined("provider=untold").await?;
    ensure!(away["verdict"] == "unknown", "{away:#}");
    scene.cluster.finish().await
}
