//! The store over Postgres.
//!
//! Each module keeps its statements as constants; all of them are collected in
//! `statements`, and a test prepares each one against a freshly migrated database.

mod canary;
mod claims;
mod claims_limited;
mod executions;
mod fragments;
mod incidents;
mod intake;
mod janitor;
mod lane_limits;
mod lanes;
mod leases;
mod list;
mod notifications;
mod pairs;
mod prune;
mod record;
mod replay;
mod rows;
mod schema;
mod secrets;
mod webhooks;

use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::seal::Sealed;
use crate::{MasterKey, StoreConfig, StoreError};
use rows::fault;

/// How long a step waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// What the canary says once opened.
const CANARY: &str = "postrider";

const PING: &str = "select 1";
const READ_CANARY: &str = "select key_canary from meta";
const SET_CANARY: &str = "update meta set key_canary = $1 where key_canary is null";

#[cfg(test)]
const STATEMENTS: &[(&str, &str)] =
    &[("ping", PING), ("read_canary", READ_CANARY), ("set_canary", SET_CANARY)];

/// The Postgres backend.
#[derive(Debug, Clone)]
pub(crate) struct Pg {
    pool: PgPool,
    key: MasterKey,
    sweep_after: Duration,
    expiry: Arc<Mutex<janitor::ExpiryWindow>>,
}

/// Every statement of this backend that is not put together at run time, by name.
#[cfg(test)]
pub(crate) fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        STATEMENTS,
        canary::STATEMENTS,
        claims::STATEMENTS,
        claims_limited::STATEMENTS,
        executions::STATEMENTS,
        incidents::STATEMENTS,
        intake::STATEMENTS,
        janitor::STATEMENTS,
        lane_limits::STATEMENTS,
        lanes::STATEMENTS,
        leases::STATEMENTS,
        list::STATEMENTS,
        notifications::STATEMENTS,
        pairs::STATEMENTS,
        prune::STATEMENTS,
        record::STATEMENTS,
        schema::STATEMENTS,
        secrets::STATEMENTS,
        webhooks::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

impl Pg {
    pub(crate) async fn connect(
        url: &SecretString,
        max_connections: u32,
        config: &StoreConfig,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let options = options(url, config.statement_timeout)?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.max(4))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        let store = Self {
            pool,
            key: config.master_key.clone(),
            sweep_after: config.sweep_after,
            expiry: Arc::default(),
        };
        store.wait_until_reachable(patience).await?;
        Ok(store)
    }

    async fn wait_until_reachable(&self, patience: Duration) -> Result<(), StoreError> {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2))
            .with_total_delay(Some(patience))
            .without_max_times();
        (|| self.ping())
            .retry(delays)
            .when(|error| matches!(error, StoreError::Unavailable(_)))
            .await
    }

    pub(crate) async fn check_key(&self) -> Result<(), StoreError> {
        let mut canary: Option<String> =
            sqlx::query_scalar(READ_CANARY).fetch_one(&self.pool).await.map_err(fault)?;
        if canary.is_none() {
            let sealed = self.key.seal(Sealed::Canary, "", CANARY)?;
            sqlx::query(SET_CANARY).bind(sealed).execute(&self.pool).await.map_err(fault)?;
            canary = sqlx::query_scalar(READ_CANARY).fetch_one(&self.pool).await.map_err(fault)?;
        }
        let sealed = canary.ok_or_else(|| StoreError::Corrupt("no key canary".to_owned()))?;
        self.key.open(Sealed::Canary, "", &sealed).map(drop)
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query(PING).execute(&self.pool).await.map(drop).map_err(fault)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

fn options(url: &SecretString, timeout: Duration) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| {
        // The error may quote the URL, which may hold a password.
        StoreError::Unusable("the database URL is not understood: use postgres://…".to_owned())
    })?;
    let timeout = format!("{}ms", timeout.as_millis());
    Ok(options
        .application_name("postrider")
        .options([
            // Plans cached while a table was empty live on and scan what has grown since.
            ("plan_cache_mode", "force_custom_plan"),
            ("default_transaction_isolation", "read committed"),
            // Compiling a plan costs more than any statement here runs.
            ("jit", "off"),
            ("statement_timeout", timeout.as_str()),
        ])
        .disable_statement_logging())
}

#[cfg(test)]
mod tests;
