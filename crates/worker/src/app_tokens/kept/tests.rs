use postrider_domain::{
    AddressPolicy, Answer, GithubAnswer, GithubApp, HostPatterns, HostWhitelist, RetryPolicy,
};
use postrider_github_double::{App, AppKeys, Double, Kind, Options, Play};
use postrider_http_client::Outbound;
use postrider_store::{AppSecret, MasterKey, Store, StoreConfig, Target};
use postrider_telemetry::Supervisor;
use secrecy::ExposeSecret;

use super::super::wanted::Place;
use super::*;
use crate::WorkerConfig;

const WITHIN: Duration = Duration::from_secs(30);
const MINT: &str = "POST /app/installations/7/access_tokens";

struct World {
    tokens: AppTokens,
    double: Double,
    app: Arc<AppSecret>,
    _dir: tempfile::TempDir,
}

fn config(double: &Double) -> WorkerConfig {
    WorkerConfig {
        timeout: WITHIN,
        claim_margin: WITHIN,
        lease: WITHIN,
        poll: Duration::from_secs(1),
        janitor: Duration::from_secs(1),
        probe: WITHIN,
        credentials: WITHIN,
        grace: WITHIN,
        concurrency: 16,
        retry: RetryPolicy::default(),
        github_hosts: double.addr().to_string().parse::<HostPatterns>().unwrap(),
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

fn key() -> Key {
    Key { secret: "u".to_owned(), rev: 1, place: Place::Id(7), repository: None }
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = StoreConfig {
            target: Target::Sqlite { path: dir.path().join("postrider.db") },
            master_key: MasterKey::generate(),
            sweep_after: Duration::ZERO,
            statement_timeout: WITHIN,
        };
        let store = Store::connect(&store, Duration::ZERO).await.unwrap();
        store.migrate().await.unwrap();
        let double = Double::start(Options::default()).await.unwrap();
        let keys = AppKeys::generate().unwrap();
        double.install_app(App::new(12, keys.clone(), 7, "acme"));
        let config = config(&double);
        let client = config.client(&Supervisor::default()).unwrap();
        let app = GithubApp::new("12", Some(7), None, false, Some(&double.base_url())).unwrap();
        let app =
            AppSecret { uuid: "u".to_owned(), rev: 1, app, private_key: keys.private_pem.into() };
        let tokens = AppTokens::new(Minter::new(client, store, &config));
        Self { tokens, double, app: Arc::new(app), _dir: dir }
    }

    fn wanted(&self, path: &str) -> Wanted {
        let need = Scope::of(&format!("{}/{path}", self.double.base_url()));
        Wanted { name: "app".to_owned(), app: Arc::clone(&self.app), repository: None, need }
    }

    async fn token(&self, path: &str) -> Result<Arc<Token>, NoToken> {
        self.tokens.token(&key(), &self.wanted(path), WITHIN).await
    }

    fn in_use(token: &Token) -> InUse {
        InUse { key: key(), number: token.number }
    }

    /// How often a token was asked for.
    fn asked(&self) -> usize {
        self.double.journal().iter().filter(|entry| entry.kind == Kind::App).count()
    }
}

const DISPATCH: &str = "repos/acme/a/dispatches";
const WORKFLOW: &str = "repos/acme/a/actions/workflows/a.yml/dispatches";

#[tokio::test]
async fn all_that_wait_share_one_token() {
    let world = World::new().await;
    world.double.set_latency(Some(Duration::from_millis(50)));
    let all = futures_util::future::join_all((0..20).map(|_| world.token(DISPATCH))).await;
    let numbers: Vec<u64> = all.into_iter().map(|token| token.unwrap().number).collect();
    assert_eq!(numbers, [1; 20]);
    assert_eq!((world.asked(), world.double.minted().len()), (1, 1));
    let token = world.token(DISPATCH).await.unwrap();
    assert_eq!(token.value.expose_secret(), &world.double.minted()[0]);
    assert_eq!(world.asked(), 1, "it is kept");
}

#[tokio::test]
async fn a_token_of_less_is_replaced_by_one_of_more() {
    let world = World::new().await;
    let first = world.token(DISPATCH).await.unwrap();
    let second = world.token(WORKFLOW).await.unwrap();
    assert!(second.number > first.number);
    assert!(second.scope.covers(&world.wanted(WORKFLOW).need));
}

#[tokio::test]
async fn who_goes_away_stops_nobody_and_who_waits_too_long_goes_without() {
    let world = World::new().await;
    world
        .double
        .script(MINT, vec![Play::Delay(Duration::from_millis(300), Box::new(Play::Check))])
        .unwrap();
    let (key, wanted) = (key(), world.wanted(DISPATCH));
    let early = world.tokens.token(&key, &wanted, Duration::ZERO).await;
    assert!(matches!(early, Err(NoToken::NotInTime)), "{early:?}");
    assert_eq!(world.token(DISPATCH).await.unwrap().number, 1);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_refused_token_is_worth_another_once() {
    let world = World::new().await;
    let first = world.token(DISPATCH).await.unwrap();
    // Two requests were under way with it.
    assert!(world.tokens.refused(&World::in_use(&first)));
    assert!(world.tokens.refused(&World::in_use(&first)));
    let second = world.token(DISPATCH).await.unwrap();
    assert!(second.number > first.number);
    assert!(!world.tokens.refused(&World::in_use(&second)));
    let third = world.token(DISPATCH).await.unwrap();
    assert!(!world.tokens.refused(&World::in_use(&third)), "nothing was taken since");
    let fourth = world.token(DISPATCH).await.unwrap();
    world.tokens.taken(&World::in_use(&first));
    assert!(!world.tokens.refused(&World::in_use(&fourth)), "an older one says nothing");
    let fifth = world.token(DISPATCH).await.unwrap();
    world.tokens.taken(&World::in_use(&fifth));
    assert!(world.tokens.refused(&World::in_use(&fifth)));
}

#[tokio::test]
async fn a_failure_is_told_to_all_and_to_those_that_come_right_after() {
    let world = World::new().await;
    world.double.script_repeating(MINT, vec![Play::status(503)]).unwrap();
    let all = futures_util::future::join_all((0..20).map(|_| world.token(DISPATCH))).await;
    for came in all {
        let Err(NoToken::Failed(Failure::Means { answer, .. })) = came else {
            panic!("{came:?}");
        };
        let Answer::Response { github, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(github, Some(GithubAnswer::ServerError));
    }
    assert!(world.asked() <= 2, "{} questions", world.asked());
    world.double.clear_script(MINT);
    tokio::time::timeout(WITHIN, async {
        while world.token(DISPATCH).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_token_that_is_due_does_while_github_is_away() {
    let world = World::new().await;
    world.double.change_app(|app| app.lives = Duration::from_mins(4));
    let first = world.token(DISPATCH).await.unwrap();
    world.double.script_repeating(MINT, vec![Play::status(503)]).unwrap();
    assert_eq!(world.token(DISPATCH).await.unwrap().number, first.number);
    assert_eq!(world.asked(), 2, "it was to be renewed");
    world.double.change_app(|app| app.lives = Duration::from_secs(30));
    world.double.clear_script(MINT);
}
