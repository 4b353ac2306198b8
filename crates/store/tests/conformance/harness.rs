//! A store of its own for each case, and the ways to look behind it.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use postrider_store::{MasterKey, Store, StoreConfig, StoreError, Target};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use uuid::Uuid;

/// Which backend.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

/// A database of one case, with its first handle.
#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

struct Inner {
    place: Place,
    key: MasterKey,
    store: Store,
}

enum Place {
    Postgres { name: String },
    Sqlite { dir: tempfile::TempDir },
}

/// Runs a case over a fresh, migrated store and removes it afterwards.
pub(crate) async fn run<F, C>(kind: Kind, case: C)
where
    C: FnOnce(World) -> F,
    F: Future<Output = ()>,
{
    let world = World::new(kind).await;
    let outcome = AssertUnwindSafe(case(world.clone())).catch_unwind().await;
    world.remove().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl World {
    async fn new(kind: Kind) -> Self {
        let place = match kind {
            Kind::Postgres => Place::Postgres { name: copy_of_template().await },
            Kind::Sqlite => Place::Sqlite { dir: tempfile::tempdir().unwrap() },
        };
        let key = MasterKey::generate();
        let store = connect(place.target(), &key, Duration::ZERO).await.unwrap();
        store.migrate().await.unwrap();
        Self(Arc::new(Inner { place, key, store }))
    }

    /// The first handle; its fresh deliveries are swept at once.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Another handle to the same database.
    pub(crate) async fn another(&self, sweep_after: Duration) -> Store {
        connect(self.0.place.target(), &self.0.key, sweep_after).await.unwrap()
    }

    /// Another handle under another master key.
    pub(crate) async fn with_other_key(&self) -> (Store, MasterKey) {
        let key = MasterKey::generate();
        (connect(self.0.place.target(), &key, Duration::ZERO).await.unwrap(), key)
    }

    /// Id of the master key in use.
    pub(crate) fn key(&self) -> &MasterKey {
        &self.0.key
    }

    /// A database without any schema.
    pub(crate) async fn empty_sibling(&self) -> Sibling {
        let place = match &self.0.place {
            Place::Postgres { .. } => {
                let name = new_name();
                admin(&format!("create database {name}")).await;
                Place::Postgres { name }
            }
            Place::Sqlite { .. } => Place::Sqlite { dir: tempfile::tempdir().unwrap() },
        };
        Sibling(place)
    }

    /// Runs a statement that both databases understand, past the store.
    pub(crate) async fn raw(&self, sql: &str) {
        match &self.0.place {
            Place::Postgres { name } => {
                let mut conn = PgConnection::connect(&url_of(name)).await.unwrap();
                conn.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            }
            Place::Sqlite { dir } => {
                let url = format!("sqlite://{}", path_in(dir).display());
                let mut conn = SqliteConnection::connect(&url).await.unwrap();
                conn.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            }
        }
    }

    /// Everything that stands in the database, as text.
    pub(crate) async fn dump(&self) -> String {
        match &self.0.place {
            Place::Postgres { name } => dump_postgres(name).await,
            Place::Sqlite { dir } => dump_files(dir),
        }
    }

    async fn remove(self) {
        self.0.store.close().await;
        self.0.place.remove().await;
    }
}

/// A second database of the same kind.
pub(crate) struct Sibling(Place);

impl Sibling {
    pub(crate) async fn open(&self) -> Store {
        connect(self.0.target(), &MasterKey::generate(), Duration::ZERO).await.unwrap()
    }

    pub(crate) async fn remove(self) {
        self.0.remove().await;
    }
}

impl Place {
    fn target(&self) -> Target {
        match self {
            Self::Postgres { name } => {
                Target::Postgres { url: SecretString::from(url_of(name)), max_connections: 4 }
            }
            Self::Sqlite { dir } => Target::Sqlite { path: path_in(dir) },
        }
    }

    async fn remove(&self) {
        match self {
            Self::Postgres { name } => {
                admin(&format!("drop database if exists {name} with (force)")).await;
            }
            // The folder goes with its handle.
            Self::Sqlite { .. } => {}
        }
    }
}

async fn connect(target: Target, key: &MasterKey, sweep: Duration) -> Result<Store, StoreError> {
    let config = StoreConfig {
        target,
        master_key: key.clone(),
        sweep_after: sweep,
        statement_timeout: Duration::from_secs(10),
    };
    Store::connect(&config, Duration::from_secs(5)).await
}

fn path_in(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("postrider.db")
}

#[expect(clippy::disallowed_methods, reason = "the address of the test database")]
fn admin_url() -> String {
    std::env::var("POSTRIDER_TEST_DATABASE_URL").expect(
        "POSTRIDER_TEST_DATABASE_URL is not set: run tests/run, or set it to the URL of a Postgres \
         on which databases may be created",
    )
}

fn url_of(name: &str) -> String {
    let url = admin_url();
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

fn new_name() -> String {
    format!("postrider_test_{}", Uuid::now_v7().simple())
}

async fn admin(sql: &str) {
    let mut conn = PgConnection::connect(&admin_url()).await.unwrap();
    conn.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

/// A copy of a migrated database, which is quicker than migrating each time. The template is
/// named after the migrations and made by whichever test comes first.
async fn copy_of_template() -> String {
    let template = template_name();
    let mut conn = PgConnection::connect(&admin_url()).await.unwrap();
    conn.execute("select pg_advisory_lock(7267834)").await.unwrap();
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&template)
            .fetch_one(&mut conn)
            .await
            .unwrap();
    if !exists {
        make_template(&mut conn, &template).await;
    }
    let name = new_name();
    let copy = format!("create database {name} template {template}");
    conn.execute(AssertSqlSafe(copy)).await.unwrap();
    conn.close().await.unwrap();
    name
}

async fn make_template(conn: &mut PgConnection, template: &str) {
    let draft = format!("{template}_draft");
    for sql in [format!("drop database if exists {draft}"), format!("create database {draft}")] {
        conn.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let place = Place::Postgres { name: draft.clone() };
    let store = connect(place.target(), &MasterKey::generate(), Duration::ZERO).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let rename = format!("alter database {draft} rename to {template}");
    conn.execute(AssertSqlSafe(rename)).await.unwrap();
}

fn template_name() -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/postgres");
    let mut migrations: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    migrations.sort();
    for migration in migrations {
        std::fs::read_to_string(migration).unwrap().hash(&mut hash);
    }
    format!("postrider_template_{:016x}", hash.finish())
}

async fn dump_postgres(name: &str) -> String {
    let mut conn = PgConnection::connect(&url_of(name)).await.unwrap();
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    let mut dump = String::new();
    for table in tables {
        let sql = format!("select t::text from {table} t");
        for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut conn).await.unwrap() {
            dump.push_str(&row.get::<String, _>(0));
            dump.push('\n');
        }
    }
    dump
}

fn dump_files(dir: &tempfile::TempDir) -> String {
    let mut dump = String::new();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        dump.push_str(&String::from_utf8_lossy(&bytes));
    }
    dump
}

/// Asks until the answer is there; ten seconds are enough for anything here.
pub(crate) async fn wait_until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking)
        .await
        .unwrap_or_else(|_| panic!("not within ten seconds: {what}"))
}
