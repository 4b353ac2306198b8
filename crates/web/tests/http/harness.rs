//! A store in a temporary folder, the role on it, and short ways to call it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, StatusCode, header};
use postrider_broker::BrokerConfig;
use postrider_domain::{
    FreshnessRules, HostWhitelist, LaneId, LaneRules, Pattern, QuietDays, Rate, RetryPolicy,
};
use postrider_http_server::body::REQUEST_TIMEOUT;
use postrider_http_server::{Shared, Tokens};
use postrider_ingest::{DispatchQueue, Ingest, IngestConfig, Wake};
use postrider_store::{DeliveryFilter, MasterKey, Store, StoreConfig, Target};
use postrider_telemetry::{Metrics, Supervisor};
use postrider_web::{Announce, Announcement, Web, WebConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::contract;

/// The role and all it needs; ends when dropped.
pub(crate) struct Harness {
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) woken: Arc<Mutex<Vec<LaneId>>>,
    pub(crate) cancel: CancellationToken,
    pub(crate) tracker: TaskTracker,
    pub(crate) metrics: Metrics,
    _folder: Option<TempDir>,
}

fn idle_queue() -> DispatchQueue {
    in_process(Arc::new(|_| {}))
}

/// Workers of this process, which claim nothing at intake.
fn in_process(wake: Wake) -> DispatchQueue {
    DispatchQueue::InProcess { wake, offer: Arc::new(|_| oneshot::channel().1) }
}

/// What differs between tests.
pub(crate) struct Setting {
    pub(crate) queue: DispatchQueue,
    pub(crate) sweep_after: Duration,
    pub(crate) max_unpublished: u32,
    pub(crate) api_rate: &'static str,
    pub(crate) intake_rate: &'static str,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            queue: idle_queue(),
            sweep_after: Duration::ZERO,
            max_unpublished: 1_000_000,
            api_rate: "unlimited",
            intake_rate: "unlimited",
        }
    }
}

/// An answer read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::with_tokens("").await
    }

    pub(crate) async fn with_tokens(tokens: &str) -> Self {
        let woken = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&woken);
        let queue = in_process(Arc::new(move |lanes: &[LaneId]| {
            sink.lock().unwrap().extend_from_slice(lanes);
        }));
        let setting = Setting { queue, ..Setting::default() };
        Self { woken, ..Self::with(tokens, setting).await }
    }

    pub(crate) async fn with(tokens: &str, setting: Setting) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let master_key = MasterKey::generate();
        let store = open_store(&folder, &master_key, setting.sweep_after).await;
        let tokens = Tokens::parse(&tokens.into()).unwrap();
        let ingest = IngestConfig {
            tokens: tokens.clone(),
            master_key: master_key.clone(),
            max_unpublished: setting.max_unpublished,
            intake_rate: setting.intake_rate.parse().unwrap(),
            ..ingest_config()
        };
        let api_rate = setting.api_rate.parse().unwrap();
        let web = WebConfig { tokens, master_key, api_rate, ..web_config() };
        Self { _folder: Some(folder), ..Self::on(store, (ingest, web), setting.queue) }
    }

    fn on(store: Store, configs: (IngestConfig, WebConfig), queue: DispatchQueue) -> Self {
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        let metrics = Metrics::new("test", "unknown").unwrap();
        let shared = Shared::new(store.clone(), metrics.clone());
        let tasks = (&tracker, &Supervisor::default());
        let ingest = Ingest::start(configs.0, shared.clone(), queue, tasks, cancel.clone());
        let announce = announce(ingest.clone());
        let document = || contract::TEXT.clone();
        let web = Web::new(configs.1, shared, announce, document, tracker.clone(), cancel.clone());
        let (router, woken) = (web.router(ingest.router()), Arc::default());
        Self { router, store, woken, cancel, tracker, metrics, _folder: None }
    }

    /// The same role once more on the same store, with so much time for relayed calls.
    pub(crate) fn replica(&self, relay_answer_within: Duration) -> Self {
        let ingest = IngestConfig { relay_answer_within, ..ingest_config() };
        let configs = (ingest, web_config());
        Self::on(self.store.clone(), configs, idle_queue())
    }

    /// The same role once more on the same store, which may ask the broker `default`.
    pub(crate) fn asking(&self, broker: &str) -> Self {
        let config = BrokerConfig::new(broker.parse().unwrap());
        let brokers = vec![("default".to_owned(), config)];
        let configs = (IngestConfig { brokers, ..ingest_config() }, web_config());
        Self::on(self.store.clone(), configs, idle_queue())
    }

    /// Ends the role's tasks and waits for what they were at.
    pub(crate) async fn end(&self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, target) = (request.method().to_string(), request.uri().to_string());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let is_stream = parts.headers.get("content-type").is_some_and(|v| v == "text/event-stream");
        let bytes = if is_stream {
            // It goes on: its beginning tells how it is answered.
            body.into_data_stream().next().await.unwrap().unwrap()
        } else {
            to_bytes(body, usize::MAX).await.unwrap()
        };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, text };
        contract::assert_answer(&method, &target, &answer);
        answer
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "pr.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [(header::CONTENT_TYPE.as_str(), "application/json")];
        let answer = self.call(method, path, &headers, body.to_string()).await;
        contract::assert_request(method, path, body, answer.status);
        answer
    }

    /// The body of a stream, which is for the caller to read.
    pub(crate) async fn listen(&self, path: &str, headers: &[(&str, &str)]) -> BodyDataStream {
        let mut request = Request::builder().uri(path).header("host", "pr.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().into_data_stream()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn event(&self, body: &Value) -> Answer {
        self.json("POST", "/events", body).await
    }

    /// Creates a webhook and returns its uuid.
    pub(crate) async fn webhook(&self, body: &Value) -> String {
        let answer = self.json("POST", "/webhooks", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json()["uuid"].as_str().unwrap().to_owned()
    }

    /// How many deliveries there are, at most 1,000.
    pub(crate) async fn delivery_count(&self) -> usize {
        let filter = DeliveryFilter::default();
        self.store.deliveries(&filter, None, 1_000).await.unwrap().deliveries.len()
    }
}

fn announce(ingest: Ingest) -> Announce {
    Arc::new(move |announcement| match announcement {
        Announcement::Delivery(fresh) => ingest.dispatch(fresh),
        Announcement::Lanes(lanes) => ingest.wake(&lanes),
    })
}

fn ingest_config() -> IngestConfig {
    IngestConfig {
        trusted_proxies: Vec::new(),
        intake_rate: Rate::Unlimited,
        tokens: Tokens::default(),
        master_key: MasterKey::generate(),
        max_unpublished: 1_000_000,
        request_timeout: REQUEST_TIMEOUT,
        relay_answer_within: Duration::from_secs(10),
        brokers: Vec::new(),
    }
}

fn web_config() -> WebConfig {
    WebConfig {
        base_url: None,
        allowed_hosts: vec!["pr.test".to_owned()],
        redact_more: vec!["x-api-key".to_owned(), "sig".to_owned()],
        api_rate: Rate::Unlimited,
        trusted_proxies: Vec::new(),
        tokens: Tokens::default(),
        scheme_whitelist: vec!["https".to_owned()],
        method_whitelist: vec!["POST".to_owned()],
        host_whitelist: HostWhitelist::default(),
        lane_rules: LaneRules::default(),
        retry: RetryPolicy::default(),
        machine_users: vec![Pattern::parse("pactflow-*")],
        freshness: FreshnessRules {
            max_age: None,
            quiet: QuietDays::none(),
            pairs: Vec::new(),
            is_watched: false,
        },
        broker_patience: Duration::from_mins(15),
        brokers: BTreeMap::new(),
        doctor_patience: Duration::from_mins(10),
        master_key: MasterKey::generate(),
        request_timeout: REQUEST_TIMEOUT,
        execute_wait: Duration::from_millis(50),
        webhook_timeout: Duration::from_secs(1),
    }
}

async fn open_store(folder: &TempDir, master_key: &MasterKey, sweep_after: Duration) -> Store {
    let config = StoreConfig {
        target: Target::Sqlite { path: folder.path().join("postrider.db") },
        master_key: master_key.clone(),
        sweep_after,
        statement_timeout: Duration::from_secs(10),
    };
    let store = Store::connect(&config, Duration::from_secs(5)).await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// A webhook that wants publications, for any pacticipants.
pub(crate) fn hook() -> Value {
    json!({
        "description": "d",
        "events": [{"name": "contract_published"}],
        "request": {
            "method": "POST",
            "url": "https://api.github.com/repos/o/r/dispatches",
            "headers": {"Authorization": "Bearer ${user.githubToken}"},
            "body": {"event_type": "x"},
        },
    })
}

/// A small event that [`hook`] wants.
pub(crate) fn event() -> Value {
    json!({
        "event_name": "contract_published",
        "consumer": {"name": "C"},
        "provider": {"name": "P"},
    })
}
