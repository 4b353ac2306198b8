//! A store, a target, and a scheduler that does what the test says.

use std::collections::VecDeque;
use std::sync::Mutex as Lock;

use postrider_domain::{
    AddressPolicy, DeliveryId, HostPatterns, HostWhitelist, LimitId, RequestTemplate, RetryPolicy,
    Webhook,
};
use postrider_github_double::{Double, Options};
use postrider_http_client::Outbound;
use postrider_store::{
    IntakeBatch, LaneSpec, MasterKey, Poll, Store, StoreConfig, StoredWebhook, Target, WorkerId,
};
use postrider_telemetry::{Metrics, Supervisor};
use postrider_testkit::acts;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::*;
use crate::driver::hands::Hands;
use crate::driver::owed::channel;
use crate::record::{Recorder, supervised};
use crate::{WorkerConfig, app_tokens, attempt, cache, clock, live};

const WITHIN: Duration = Duration::from_secs(20);

/// A store with one webhook, and what a worker has.
pub(super) struct World {
    pub(super) hands: Hands,
    pub(super) double: Double,
    webhook: StoredWebhook,
    host: String,
    tracker: TaskTracker,
    _dir: tempfile::TempDir,
}

fn config() -> WorkerConfig {
    WorkerConfig {
        timeout: Duration::from_secs(5),
        claim_margin: Duration::from_secs(5),
        lease: Duration::from_secs(10),
        poll: Duration::from_secs(1),
        janitor: Duration::from_secs(1),
        probe: Duration::from_mins(1),
        credentials: Duration::from_hours(24),
        grace: Duration::from_secs(5),
        concurrency: 16,
        retry: RetryPolicy::default(),
        github_hosts: HostPatterns::default(),
        success_codes: vec![200, 204],
        schemes: vec!["http".to_owned()],
        methods: vec!["POST".to_owned()],
        hosts: HostWhitelist::default(),
        addresses: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
        outbound: Outbound::default(),
        user_agent: "test".to_owned(),
        redact_more: Vec::new(),
    }
}

async fn store(dir: &tempfile::TempDir) -> Store {
    let config = StoreConfig {
        target: Target::Sqlite { path: dir.path().join("postrider.db") },
        master_key: MasterKey::generate(),
        sweep_after: Duration::ZERO,
        statement_timeout: Duration::from_secs(2),
    };
    let store = Store::connect(&config, Duration::ZERO).await.unwrap();
    store.migrate().await.unwrap();
    store
}

fn webhook(url: String) -> Webhook {
    let mut webhook = acts::webhook("webhook");
    webhook.request = RequestTemplate { url, headers: Vec::new(), body: None, ..webhook.request };
    webhook
}

impl World {
    pub(super) async fn new(limits: LaneLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let double = Double::start(Options::default()).await.unwrap();
        let host = double.addr().to_string();
        let name = format!("{host}/token");
        let lane = LaneSpec { limit: name.clone(), name, limits };
        let webhook = webhook(format!("{}/hook/one", double.base_url()));
        let webhook = acts::put_write(&store, &acts::write(webhook, &lane, &[])).await;
        let tracker = TaskTracker::new();
        let (outcomes, to_record) = mpsc::channel(64);
        let (outside, mut inbox) = mpsc::channel(64);
        tracker.spawn(async move { while inbox.recv().await.is_some() {} });
        let config = config();
        let client = config.client(&Supervisor::default()).unwrap();
        let minter = app_tokens::Minter::new(client.clone(), store.clone(), &config);
        let hands = Hands {
            context: Arc::new(attempt::Context {
                client,
                tokens: app_tokens::AppTokens::new(minter),
                cache: cache::Cache::new(store.clone(), Vec::new()),
                config,
                metrics: Metrics::new("test", "unknown").unwrap(),
                troubles: crate::trouble::Troubles::default(),
                credentials: crate::credentials::Book::default(),
            }),
            store: store.clone(),
            worker: WorkerId(Uuid::now_v7()),
            clock: clock::Clock::start(),
            live: live::LiveClaims::default(),
            recorder: outcomes,
            settler: None,
            attempts: TaskTracker::new(),
            cut: CancellationToken::new(),
            stopping: CancellationToken::new(),
        };
        let recorder = Recorder::new(store, hands.live.clone(), to_record, outside);
        supervised(recorder, &Supervisor::default(), &tracker);
        Self { hands, double, webhook, host, tracker, _dir: dir }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Nobody listens at the target any more.
    pub(super) async fn double_ends(&mut self) {
        let gone = Double::start(Options::default()).await.unwrap();
        std::mem::replace(&mut self.double, gone).stop().await;
    }

    /// Accepts deliveries for the webhook.
    pub(super) async fn accept(&self, count: usize) -> Vec<DeliveryId> {
        acts::accept(&self.hands.store, &self.webhook, count).await
    }

    /// So many events with a delivery each, to commit.
    pub(super) async fn batch(&self, count: usize) -> IntakeBatch {
        let entries: Vec<_> = (0..count).map(|_| acts::entry(None, &[&self.webhook])).collect();
        let webhooks_version = acts::version(&self.hands.store).await;
        IntakeBatch { webhooks_version, entries: entries.into() }
    }

    /// Its webhook gets another lane.
    pub(super) async fn moves(&self) {
        let name = format!("{}/other", self.host);
        let lane = LaneSpec { limit: name.clone(), name, limits: LaneLimits::OTHER };
        let write = acts::write(self.webhook.webhook.clone(), &lane, &[]);
        let moved = acts::put_write(&self.hands.store, &write).await;
        assert_ne!(moved.lane_id, self.webhook.lane_id);
    }

    /// The lane is held, with one delivery waiting in it.
    pub(super) async fn hold(&self) -> DeliveryId {
        acts::hold_with(&self.hands.store, &self.webhook).await
    }

    pub(super) fn lane(&self) -> LaneId {
        self.webhook.lane_id
    }

    pub(super) async fn limit(&self) -> LimitId {
        let page = self.hands.store.poll(Poll::Page(None)).await.unwrap();
        page.lanes[0].limit.id
    }

    /// Waits until nobody leads.
    pub(super) async fn until_free(&self) {
        let free = async {
            while self.hands.store.poll(Poll::Page(None)).await.unwrap().lanes[0].limit.leased {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WITHIN, free).await.unwrap();
    }

    /// Waits until a claim's outcome is committed.
    pub(super) async fn recorded(&self, id: DeliveryId, status: DeliveryStatus) {
        let committed = async {
            loop {
                let is_live = self.hands.live.in_hand().iter().any(|(live, _)| *live == id);
                let view = self.hands.store.delivery(id).await.unwrap().unwrap();
                if !is_live && view.row.status == status {
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WITHIN, committed).await.unwrap();
    }

    pub(super) fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }
}

/// A scheduler that hands what it hears to the test and does what that says.
pub(super) struct Scripted {
    pub(super) todo: Arc<Lock<VecDeque<Todo>>>,
    pub(super) heard: mpsc::UnboundedSender<Happened>,
}

impl Decides for Scripted {
    fn on(&mut self, _: Millis, event: Happened, todo: &mut Vec<Todo>) {
        if !matches!(event, Event::Woken(_)) {
            self.heard.send(event).unwrap();
        }
        todo.extend(self.todo.lock().unwrap().drain(..));
    }

    fn next_wakeup(&self) -> Option<Millis> {
        None
    }
}

/// The test's end of a [`Scripted`] one.
pub(super) struct Script {
    todo: Arc<Lock<VecDeque<Todo>>>,
    heard: mpsc::UnboundedReceiver<Happened>,
    outside: Option<mpsc::Sender<OutsideEvent>>,
    /// Asks for a stop.
    pub(super) cancel: CancellationToken,
    driver: JoinHandle<()>,
}

impl Script {
    pub(super) fn of(world: &World) -> Self {
        Self::waking(world, |scripted| scripted)
    }

    /// Of what a scripted scheduler was made into.
    pub(super) fn waking<D: Decides + Send + 'static>(
        world: &World,
        make: impl FnOnce(Scripted) -> D,
    ) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let todo = Arc::<Lock<VecDeque<Todo>>>::default();
        let decides = make(Scripted { todo: Arc::clone(&todo), heard: tell });
        let (outside, mut inbox) = mpsc::channel(8);
        let hands = world.hands.clone();
        let cancel = CancellationToken::new();
        let cancelled = cancel.clone();
        let driver = world.tracker().spawn(async move {
            let (events, ends) = channel(&hands.recorder);
            let carrier = Carrier {
                hands,
                events,
                steps: TaskTracker::new(),
                gone: CancellationToken::new(),
            };
            let mut mail = Mail::new(None);
            let driver = Driver::new(decides, carrier, ends, &mut mail);
            driver.run(&mut inbox, &cancelled).await;
        });
        Self { todo, heard, outside: Some(outside), cancel, driver }
    }

    /// The scheduler asks for this.
    pub(super) async fn asks(&self, todo: Todo) {
        self.asks_next_time(todo);
        self.outside(OutsideEvent::Woken(Vec::new())).await;
    }

    /// Waits until what was asked for is carried out.
    pub(super) async fn catches_up(&mut self) {
        self.asks(Command::Poll(Which::Those(Vec::new()))).await;
        let Event::Polled { .. } = self.hears().await else { panic!("it polls") };
    }

    /// The scheduler asks for this when it hears something.
    pub(super) fn asks_next_time(&self, todo: Todo) {
        self.todo.lock().unwrap().push_back(todo);
    }

    /// Something happens outside.
    pub(super) async fn outside(&self, event: OutsideEvent) {
        self.outside.as_ref().unwrap().send(event).await.unwrap();
    }

    /// Nothing happens outside any more.
    pub(super) fn closes_outside(&mut self) {
        self.outside = None;
    }

    /// What the scheduler hears next.
    pub(super) async fn hears(&mut self) -> Happened {
        tokio::time::timeout(WITHIN, self.heard.recv()).await.unwrap().unwrap()
    }

    pub(super) async fn stop(self) {
        self.asks(Command::Stopped).await;
        tokio::time::timeout(WITHIN, self.driver).await.unwrap().unwrap();
    }
}
