//! What is SQLite's own: turns of the writer, the file, plans of the statements. The
//! semantics shared with Postgres are tested once for both backends.

mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{
    DeliveryId, Event, EventId, EventName, EventSource, Extensions, LaneLimits, Outcome,
    Pacticipant, Rate, RequestTemplate, Webhook, WebhookUuid,
};
use postrider_telemetry::Supervisor;
use sqlx::Executor;
use uuid::Uuid;

use super::SqliteStore;
use super::fault::Fault;
use crate::cold::query::Query;
use crate::store::Backend;
use crate::{
    AttemptRow, Claim, ClaimTerms, EventDocument, IncidentFilter, IntakeBatch, IntakeEntry,
    KeptRequest, LaneShare, LaneSpec, MasterKey, NewDelivery, NewEvent, Put, Recorded, Store,
    StoreConfig, StoreError, StoredWebhook, Target, Transition, WebhookWrite, WorkerId,
};

/// A store of its own in a new directory.
struct Fixture {
    lite: SqliteStore,
    store: Store,
    key: MasterKey,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("postrider.db");
        let key = MasterKey::generate();
        let lite = open(&path, &key).await;
        let store = Store(Backend::Sqlite(lite.clone()), None);
        store.migrate().await.unwrap();
        Self { lite, store, key, path, _dir: dir }
    }

    async fn webhook(&self, uuid: &str, lane: &str, rate: Rate) -> StoredWebhook {
        match self.store.put_webhook(&webhook_write(uuid, lane, rate)).await.unwrap() {
            Put::Created(webhook) | Put::Replaced(webhook) => webhook,
        }
    }

    async fn version(&self) -> i64 {
        self.store.webhook_table(None).await.unwrap().unwrap().version
    }

    /// Accepts `count` events for `webhook`; the deliveries in order.
    async fn accept(&self, webhook: &StoredWebhook, count: usize) -> Vec<DeliveryId> {
        let batch = batch(webhook, self.version().await, count);
        let ids = batch.entries.iter().map(|entry| entry.deliveries[0].id).collect();
        assert!(self.lite.commit_events(&batch).await.unwrap().is_some());
        ids
    }
}

async fn open(path: &Path, key: &MasterKey) -> SqliteStore {
    open_supervised(path, key, &Supervisor::default()).await
}

async fn open_supervised(path: &Path, key: &MasterKey, supervisor: &Supervisor) -> SqliteStore {
    let config = StoreConfig {
        target: Target::Sqlite { path: path.to_owned() },
        master_key: key.clone(),
        sweep_after: Duration::ZERO,
        statement_timeout: Duration::from_secs(2),
    };
    SqliteStore::connect(path, &config, Duration::from_secs(1), supervisor).await.unwrap()
}

const LIMITED: Rate = Rate::Limited { count: 75, per: Duration::from_mins(1) };

fn webhook_write(uuid: &str, lane: &str, rate: Rate) -> WebhookWrite {
    let now = Timestamp::UNIX_EPOCH;
    WebhookWrite {
        webhook: Webhook {
            uuid: uuid.parse::<WebhookUuid>().unwrap(),
            description: Some("a webhook".to_owned()),
            consumer: None,
            provider: None,
            enabled: true,
            events: vec![EventName::ContractPublished],
            request: RequestTemplate {
                method: "POST".to_owned(),
                url: "https://target.example/".to_owned(),
                headers: vec![("authorization".to_owned(), "Bearer in-clear".to_owned())],
                body: None,
                body_mode: postrider_domain::BodyMode::Json,
                username: None,
                password: None,
            },
            team_uuid: None,
            extensions: Extensions::default(),
            created_at: now,
            updated_at: now,
        },
        lane: LaneSpec {
            name: lane.to_owned(),
            limit: lane.to_owned(),
            limits: LaneLimits { rate, burst: 1, concurrency: 1, per_hour: None },
        },
        secret_names: ["githubToken".to_owned()].into(),
    }
}

fn event(consumer: &str) -> Event {
    Event {
        event_name: EventName::ContractPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: Pacticipant { name: consumer.to_owned(), ..Pacticipant::default() },
        provider: Pacticipant { name: "Provider".to_owned(), ..Pacticipant::default() },
        pact_url: "https://broker.example/pacts/1".to_owned(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}

fn batch(webhook: &StoredWebhook, webhooks_version: i64, count: usize) -> IntakeBatch {
    let entry = |number: usize| IntakeEntry {
        event: NewEvent {
            id: EventId(Uuid::now_v7()),
            source: EventSource::Api,
            key: Some(format!("header:{}", Uuid::now_v7())),
            term: None,
            fingerprint: [u8::try_from(number % 256).unwrap(); 16],
            event: EventDocument::new(event("Consumer \"quoted\" \u{1F980}")).unwrap(),
            traceparent: None,
        },
        deliveries: vec![NewDelivery {
            id: DeliveryId(Uuid::now_v7()),
            webhook_id: webhook.id,
            lane_id: webhook.lane_id,
        }],
    };
    IntakeBatch { webhooks_version, entries: Arc::new((0..count).map(entry).collect()) }
}

fn share(lane: postrider_domain::LaneId, limit: u32) -> [LaneShare; 1] {
    [LaneShare { lane, limit }]
}

fn worker() -> WorkerId {
    WorkerId(Uuid::now_v7())
}

fn terms(seconds: u64) -> ClaimTerms {
    let timeout = Duration::from_secs(seconds);
    ClaimTerms { worker: worker(), timeout, margin: Duration::ZERO }
}

fn recorded(claim: &Claim, transition: Transition, outcome: Outcome, status: u16) -> Recorded {
    let attempt = AttemptRow {
        number: claim.attempt,
        started_at: claim.created_at,
        duration: Duration::from_millis(12),
        outcome,
        status_code: Some(status),
        github_request_id: None,
        possible_duplicate: claim.maybe_sent,
        retry_after_capped: false,
        request: KeptRequest::Text("{\"url\":\"https://target.example/\"}".to_owned()),
        response: "{}".to_owned(),
    };
    Recorded::of(claim, transition, Some(attempt))
}

/// Names a lane, and panics with it in the middle of its turn.
async fn renames_and_panics(lite: &SqliteStore) -> Result<(), StoreError> {
    lite.write((), |(), turn| {
        Box::pin(async move {
            sqlx::query("UPDATE lanes SET name = 'half'").execute(&mut turn.conn).await?;
            panic!("an operation");
        })
    })
    .await
}

#[tokio::test]
async fn a_panic_undoes_its_turn_and_the_writer_goes_on() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::default());
    let path = dir.path().join("postrider.db");
    let lite = open_supervised(&path, &MasterKey::generate(), &supervisor).await;
    let store = Store(Backend::Sqlite(lite.clone()), None);
    store.migrate().await.unwrap();
    store.put_webhook(&webhook_write("webhook-0000000000", "a/b", LIMITED)).await.unwrap();
    let hold = crate::ManualHold::default();
    let (panicked, neighbour) =
        tokio::join!(renames_and_panics(&lite), store.hold_by_hand("a/b", &hold));
    assert!(matches!(panicked, Err(StoreError::Unknown(_))), "{panicked:?}");
    // Whether it was in the same turn or in the next one, it may be repeated.
    assert!(matches!(neighbour, Ok(Some(_)) | Err(StoreError::Unknown(_))), "{neighbour:?}");
    assert!(store.hold_by_hand("a/b", &hold).await.unwrap().is_some(), "under its old name");
    for _ in 0..2 {
        renames_and_panics(&lite).await.unwrap_err();
    }
    let gave_up = tokio::time::timeout(Duration::from_secs(20), supervisor.gave_up()).await;
    assert_eq!(gave_up.expect("the third within a minute"), "writer");
    let closed = store.hold_by_hand("a/b", &hold).await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))), "{closed:?}");
    store.close().await;
}

#[tokio::test]
async fn a_bad_operation_does_not_fail_its_neighbours() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    let version = store.version().await;
    let good: Vec<_> = (0..8).map(|_| batch(&webhook, version, 3)).collect();
    // The same delivery id twice breaks the primary key once the turn holds both.
    let mut bad = batch(&webhook, version, 1);
    Arc::make_mut(&mut bad.entries)[0].deliveries[0].id = good[0].entries[0].deliveries[0].id;
    let operations = good.iter().take(4).chain([&bad]).chain(good.iter().skip(4));
    let results =
        futures_util::future::join_all(operations.map(|batch| store.lite.commit_events(batch)))
            .await;
    let failed: Vec<_> =
        results.iter().enumerate().filter(|(_, r)| r.is_err()).map(|(n, _)| n).collect();
    assert_eq!(failed, [4]);
    assert!(matches!(&results[4], Err(StoreError::Corrupt(_))), "{:?}", results[4]);
    assert_eq!(store.lite.count_unclaimed(100).await.unwrap(), 24);
}

#[tokio::test]
async fn an_undone_turn_leaves_nothing_behind() {
    let store = Fixture::new().await;
    let failing = store.lite.write((), |(), turn| {
        Box::pin(async move {
            turn.conn.execute("INSERT INTO incidents (id, kind, subject, summary, next_step, opened_at, updated_at) VALUES (x'00', 'poison', 's', 's', 's', 1, 1)").await?;
            Err::<(), _>(Fault::Store(StoreError::Corrupt("as asked".to_owned())))
        })
    });
    assert!(failing.await.is_err());
    assert!(
        store
            .store
            .incidents(IncidentFilter::default(), None, 10)
            .await
            .unwrap()
            .incidents
            .is_empty()
    );
    store.lite.ping().await.unwrap();
}

#[tokio::test]
async fn what_was_answered_survives_a_process_that_just_ends() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    let ids = store.accept(&webhook, 5).await;
    let claims = store.lite.claim_fresh(&ids[..2], terms(0)).await.unwrap();
    assert_eq!(claims.len(), 2);
    // A copy of file and log as they stand is what a killed process leaves.
    let copy = store.path.with_file_name("copy.db");
    for suffix in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        std::fs::copy(name(&store.path), name(&copy)).unwrap();
    }
    let again = open(&copy, &store.key).await;
    Store(Backend::Sqlite(again.clone()), None).check_key().await.unwrap();
    assert_eq!(again.count_unclaimed(10).await.unwrap(), 3);
    let expired = again.expire_claims(10).await.unwrap();
    assert_eq!(expired.given_back.len(), 2);
    let claims = again.claim_due(&share(webhook.lane_id, 10), false, terms(30)).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.id).collect::<Vec<_>>(), ids);
    assert_eq!(claims.iter().filter(|claim| claim.maybe_sent).count(), 2);
}

#[tokio::test]
async fn close_finishes_what_is_queued_and_empties_the_log() {
    let store = Fixture::new().await;
    let webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    let version = store.version().await;
    let batches: Vec<_> = (0..20).map(|_| batch(&webhook, version, 10)).collect();
    let commits =
        futures_util::future::join_all(batches.iter().map(|batch| store.lite.commit_events(batch)));
    let close = async {
        tokio::task::yield_now().await;
        store.lite.close().await;
    };
    let (results, ()) = tokio::join!(commits, close);
    let answered = results.iter().filter(|result| result.is_ok()).count();
    assert!(matches!(store.lite.ping().await, Err(StoreError::Unavailable(_))));
    let log = PathBuf::from(format!("{}-wal", store.path.display()));
    assert!(!log.exists() || std::fs::metadata(&log).unwrap().len() == 0);
    let again = open(&store.path, &store.key).await;
    assert_eq!(again.count_unclaimed(1_000).await.unwrap() as usize, answered * 10);
}

#[tokio::test]
async fn the_file_holds_no_secret_in_clear() {
    let store = Fixture::new().await;
    let _webhook = store.webhook("webhook-0000000000", "target/token", Rate::Unlimited).await;
    store.store.set_secret("githubToken", &"ghp_veryplain".into()).await.unwrap();
    store.store.check_key().await.unwrap();
    store.lite.close().await;
    let bytes = std::fs::read(&store.path).unwrap();
    for secret in ["ghp_veryplain", "in-clear"] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    let other = Store(Backend::Sqlite(open(&store.path, &MasterKey::generate()).await), None);
    assert!(matches!(other.check_key().await, Err(StoreError::WrongKey { .. })));
}

#[tokio::test]
async fn a_path_that_is_no_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("postrider.db");
    let config = StoreConfig {
        target: Target::Sqlite { path: path.clone() },
        master_key: MasterKey::generate(),
        sweep_after: Duration::ZERO,
        statement_timeout: Duration::from_secs(1),
    };
    let refused = SqliteStore::connect(&path, &config, Duration::ZERO, &Supervisor::default())
        .await
        .unwrap_err();
    assert!(matches!(&refused, StoreError::Unusable(text) if text.contains("missing")));
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_given_up() {
    let store = Fixture::new().await;
    let endless = Query::new(
        "with recursive n (n) as (select 1 union all select n + 1 from n) \
         select count(*) as n from n",
    );
    let patience = Duration::from_millis(50);
    let slow = store.lite.read_within("endless", &endless, patience).await.unwrap_err();
    assert!(matches!(&slow, StoreError::Slow(why) if why.contains("endless")), "{slow:?}");
    let one = Query::new("select 1 as one");
    assert_eq!(store.lite.read("one", &one).await.unwrap().len(), 1, "the connection goes on");
}
