//! The store over Postgres.
//!
//! Each module keeps its statements as constants; all of them are collected in
//! `statements`, and a test prepares each one against a freshly migrated database.

mod claims;
mod claims_limited;
mod expiry_window;
mod fault;
mod fragments;
mod heartbeat;
mod intake;
mod janitor;
mod lanes;
mod leases;
mod lost_clients;
mod parked;
mod partitions;
mod probe_delivery;
mod record;
mod rows;
mod step;
mod unclaim;

use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::cold::query::PATIENCE;
use crate::outstanding::{Outstanding, StepKind};
use crate::{MasterKey, StoreConfig, StoreError};
use expiry_window::ExpiryWindow;
use fault::Fault;
use step::{Connections, Session, Work};

/// The fewest connections with which deliveries make progress.
const HOT_CONNECTIONS_MIN: u32 = 2;
/// Connections for what people ask, so that deliveries and they never wait for each other.
const PEOPLE_CONNECTIONS: u32 = 3;

const PING: &str = "select 1";
/// What the server says, not what was asked for: the default mode takes what it gets.
const ENCRYPTED: &str =
    "select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false)";

#[cfg(test)]
const STATEMENTS: &[(&str, &str)] = &[("ping", PING), ("encrypted", ENCRYPTED)];

/// What every session is told. What it holds is free within seconds when this process is gone
/// without a word: the server looks after its clients, and no transaction waits for one.
const SESSION_OPTIONS: [(&str, &str); 8] = [
    ("default_transaction_isolation", "read committed"),
    // Compiling a plan costs more than any statement here runs.
    ("jit", "off"),
    // Whoever waits longer for a lock is in conflict with somebody: it lets go and comes again.
    ("lock_timeout", "1000"),
    ("idle_in_transaction_session_timeout", "5000"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "15000"),
];
/// What sessions for steps are told besides.
const HOT_OPTIONS: &[(&str, &str)] = &[
    // A plan is made once for all values: to make one for each call costs a delivery alone three
    // times what its statements run. It lives on when the tables grow, so the statements are
    // written for the one way that stays right, and nothing may be read from end to end.
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    // Nor gathered and sorted, where an index has the order.
    ("enable_bitmapscan", "off"),
];
/// What sessions for people are told besides.
const PEOPLE_OPTIONS: &[(&str, &str)] = &[
    // Filters are too different for one plan, and a plan that was cached while a table was empty
    // lives on and scans what has grown since.
    ("plan_cache_mode", "force_custom_plan"),
];

/// The Postgres backend.
#[derive(Debug, Clone)]
pub(crate) struct PostgresStore {
    hot: Connections,
    people: Connections,
    key: MasterKey,
    sweep_after: Duration,
    expiry: Arc<Mutex<ExpiryWindow>>,
}

/// Every statement of this backend that is not put together at run time, by name.
#[cfg(test)]
pub(crate) fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        STATEMENTS,
        probe_delivery::STATEMENTS,
        claims::STATEMENTS,
        claims_limited::STATEMENTS,
        heartbeat::STATEMENTS,
        intake::STATEMENTS,
        janitor::STATEMENTS,
        lanes::STATEMENTS,
        leases::STATEMENTS,
        lost_clients::STATEMENTS,
        parked::STATEMENTS,
        partitions::STATEMENTS,
        record::STATEMENTS,
        unclaim::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

impl PostgresStore {
    pub(crate) async fn connect(
        url: &SecretString,
        max_connections: u32,
        config: &StoreConfig,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let outstanding = Outstanding::default();
        let open = |kind, connections, timeout, more: &[(&str, &str)]| {
            let options = options(url, timeout)?.options(more.iter().copied());
            Ok::<_, StoreError>(Connections::new(options, connections, timeout, kind, &outstanding))
        };
        let store = Self {
            hot: open(
                StepKind::Hot,
                max_connections.max(HOT_CONNECTIONS_MIN),
                config.statement_timeout,
                HOT_OPTIONS,
            )?,
            people: open(StepKind::People, PEOPLE_CONNECTIONS, PATIENCE, PEOPLE_OPTIONS)?,
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
        let mut is_told = false;
        (|| self.hot.reach())
            .retry(delays)
            .when(StoreError::may_pass)
            .notify(|error, _| {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, patience_s = patience.as_secs(), "store.waiting");
                }
            })
            .await
    }

    /// One atomic step of the protocol: one statement or one transaction, or reads alone. The
    /// work may run several times, as a statement that loses a conflict is repeated.
    pub(crate) async fn step<'a, T, E: Into<Fault>>(
        &self,
        name: &'static str,
        work: impl for<'c> FnMut(&'c mut Session<'a>) -> Work<'c, T, E>,
    ) -> Result<T, StoreError> {
        self.hot.run(name, work).await
    }

    /// As [`PostgresStore::step`], for what people ask and background work on what is stored: on
    /// connections of its own, with more time.
    pub(crate) async fn ask<'a, T, E: Into<Fault>>(
        &self,
        name: &'static str,
        work: impl for<'c> FnMut(&'c mut Session<'a>) -> Work<'c, T, E>,
    ) -> Result<T, StoreError> {
        self.people.run(name, work).await
    }

    /// The step that the database has refused for longest, and for how long.
    pub(crate) fn failing_step(&self) -> Option<(&'static str, Duration)> {
        self.hot.failing()
    }

    /// Name and age of the oldest of the steps under way.
    pub(crate) fn oldest_step(&self) -> Option<(&'static str, Duration)> {
        self.hot.oldest()
    }

    /// Connections by what they are for, and how many of them are idle.
    pub(crate) fn connections(&self) -> Vec<(&'static str, u32, u32)> {
        let count = |name, of: &Connections| {
            let (all, idle) = of.count();
            (name, all, idle)
        };
        vec![count("hot", &self.hot), count("people", &self.people)]
    }

    /// How long a step may take, with a moment to end.
    pub(crate) fn deadline(&self) -> Duration {
        self.hot.deadline()
    }

    /// Work on a connection of its own, closed afterwards, without the limits that a session
    /// has; it may take an hour.
    pub(super) async fn alone<'a, T, E: Into<Fault>>(
        &self,
        name: &'static str,
        work: impl for<'c> FnOnce(&'c mut Session<'a>) -> Work<'c, T, E>,
    ) -> Result<T, StoreError> {
        self.people.alone(name, work).await
    }

    pub(crate) fn key(&self) -> &MasterKey {
        &self.key
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.step("ping", |conn| {
            Box::pin(async move { sqlx::query(PING).execute(&mut **conn).await.map(drop) })
        })
        .await
    }

    pub(crate) async fn is_encrypted(&self) -> Result<bool, StoreError> {
        self.ask("is_encrypted", |conn| {
            Box::pin(async move { sqlx::query_scalar(ENCRYPTED).fetch_one(&mut **conn).await })
        })
        .await
    }

    pub(crate) async fn close(&self) {
        tokio::join!(self.hot.close(), self.people.close());
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
        .options([("statement_timeout", timeout.as_str())])
        .options(SESSION_OPTIONS)
        .disable_statement_logging())
}

#[cfg(test)]
mod tests;
