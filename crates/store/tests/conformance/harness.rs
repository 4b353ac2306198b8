//! A store of its own for each case, and the ways to look behind it.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use postrider_domain::{DeliveryId, LimitId};
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
pub(crate) async fn run(kind: Kind, case: impl AsyncFnOnce(World)) {
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

    /// Which backend.
    pub(crate) fn kind(&self) -> Kind {
        match &self.0.place {
            Place::Postgres { .. } => Kind::Postgres,
            Place::Sqlite { .. } => Kind::Sqlite,
        }
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

    /// Whether several processes may use the store at a time.
    pub(crate) fn is_shared(&self) -> bool {
        match &self.0.place {
            Place::Postgres { .. } => true,
            Place::Sqlite { .. } => false,
        }
    }

    /// An instant that lies ahead by the database's clock, in its SQL.
    pub(crate) fn ahead(&self, duration: Duration) -> String {
        match &self.0.place {
            Place::Postgres { .. } => format!("now() + interval '{} ms'", duration.as_millis()),
            Place::Sqlite { .. } => {
                format!("(unixepoch() * 1000000 + {})", duration.as_micros())
            }
        }
    }

    /// Where the Postgres server listens.
    pub(crate) async fn server(&self) -> SocketAddr {
        let url = admin_url();
        let (_, place) = url.rsplit_once('@').unwrap();
        let (place, _) = place.split_once('/').unwrap();
        tokio::net::lookup_host(place).await.unwrap().next().unwrap()
    }

    /// Another handle to the same Postgres database, by way of a line that carries to it.
    pub(crate) async fn through(
        &self,
        line: SocketAddr,
        max_connections: u32,
        statement_timeout: Duration,
    ) -> Store {
        let Place::Postgres { name } = &self.0.place else { panic!("lines carry to Postgres") };
        let url = url_of(name);
        let (user, _) = url.rsplit_once('@').unwrap();
        // Encrypted, no line could tell one statement from another.
        let url = SecretString::from(format!("{user}@{line}/{name}?sslmode=disable"));
        let config = StoreConfig {
            target: Target::Postgres { url, max_connections },
            master_key: self.0.key.clone(),
            sweep_after: Duration::ZERO,
            statement_timeout,
        };
        Store::connect(&config, Duration::from_secs(5)).await.unwrap()
    }

    /// What a statement locks in Postgres stays locked until the lock is let go.
    pub(crate) async fn lock(&self, sql: &'static str) -> Lock {
        let Place::Postgres { name } = &self.0.place else { panic!("SQLite locks everything") };
        let mut conn = PgConnection::connect(&url_of(name)).await.unwrap();
        conn.execute("begin").await.unwrap();
        conn.execute(sql).await.unwrap();
        Lock(conn)
    }

    /// Whether somebody waits in Postgres for what another one has locked.
    pub(crate) async fn somebody_waits(&self) -> bool {
        let Place::Postgres { name } = &self.0.place else { panic!("SQLite has one writer") };
        let mut conn = PgConnection::connect(&url_of(name)).await.unwrap();
        let waits = "select exists (select from pg_stat_activity \
                     where datname = current_database() and wait_event_type = 'Lock')";
        sqlx::query_scalar(waits).fetch_one(&mut conn).await.unwrap()
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

    /// The condition that a row is this delivery's.
    pub(crate) fn is_id(&self, id: DeliveryId) -> String {
        match &self.0.place {
            Place::Postgres { .. } => format!("id = '{id}'"),
            Place::Sqlite { .. } => format!("id = x'{}'", id.0.simple()),
        }
    }

    /// Makes so many lanes of a limited limit, past the store.
    pub(crate) async fn many_lanes(&self, count: u32, limit: LimitId) {
        let limit = limit.0;
        let sql = match &self.0.place {
            Place::Postgres { .. } => format!(
                "insert into lanes (name, limited, burst, concurrency, limit_id) \
                 select 'h/' || n, true, 1, 1, {limit} from generate_series(1, {count}) n"
            ),
            Place::Sqlite { .. } => format!(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) \
                 INSERT INTO lanes (name, limited, limit_id) SELECT 'h/' || n, 1, {limit} FROM n"
            ),
        };
        self.raw(&sql).await;
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

impl postrider_testkit::World for World {
    type Store = Store;

    fn store(&self) -> &Store {
        Self::store(self)
    }

    async fn another(&self, sweep_after: Duration) -> Store {
        Self::another(self, sweep_after).await
    }
}

/// Rows that are locked by somebody else.
pub(crate) struct Lock(PgConnection);

impl Lock {
    pub(crate) async fn rollback(mut self) {
        self.0.execute("rollback").await.unwrap();
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
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/postgres");
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
