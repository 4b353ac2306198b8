//! The store of a role, opened and known to be usable.

use std::time::Duration;

use postrider_cli::{Exit, Failure};
use postrider_config::{Mode, Settings};
use postrider_store::{Schema, Store, StoreError};
use postrider_telemetry::Supervisor;
use tokio::time::Instant;

use super::role::Role;
use crate::datadir::DataDir;
use crate::wiring;

/// How long a role waits for its database and for `postrider migrate`.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A store with what has to stay open beside it.
#[derive(Debug)]
pub(crate) struct StoreHandle {
    pub(crate) store: Store,
    pub(crate) master_key: postrider_store::MasterKey,
    /// Keeps the data dir locked.
    _data_dir: Option<DataDir>,
}

impl StoreHandle {
    /// Opens the store of `settings`; embedded it is migrated, distributed it is waited for.
    /// `supervisor` learns of tasks of the store that can't go on.
    pub(crate) async fn open(
        settings: &Settings,
        role: Role,
        supervisor: &Supervisor,
    ) -> anyhow::Result<Self> {
        let data_dir = match &settings.mode {
            Mode::Embedded { data_dir } => Some(DataDir::open(data_dir)?),
            Mode::Distributed { .. } => None,
        };
        let config = wiring::store_config(settings, data_dir.as_ref())?;
        let master_key = config.master_key.clone();
        let deadline = Instant::now() + PATIENCE;
        let store = Store::supervised(&config, PATIENCE, supervisor).await?;
        match &settings.mode {
            Mode::Embedded { .. } => migrate(&store).await?,
            Mode::Distributed { .. } => await_schema(&store, role, deadline).await?,
        }
        store.check_key().await?;
        if data_dir.is_some() {
            void_predecessor(&store).await?;
        }
        Ok(Self { store, master_key, _data_dir: data_dir })
    }
}

async fn migrate(store: &Store) -> Result<(), StoreError> {
    let made = store.migrate().await?;
    if let Some(last) = made.last() {
        tracing::info!(migrations = made.len(), last, "database.migrated");
    }
    Ok(())
}

/// The data dir is locked, so the process that had it before is gone, with its claims and leases.
async fn void_predecessor(store: &Store) -> Result<(), StoreError> {
    let voided = store.void_predecessor().await?;
    for id in &voided.poisoned {
        tracing::error!(delivery_id = %id, "delivery.poisoned");
    }
    if !voided.given_back.is_empty() {
        tracing::warn!(deliveries = voided.given_back.len(), "predecessor.claims_given_back");
    }
    Ok(())
}

async fn await_schema(store: &Store, role: Role, deadline: Instant) -> anyhow::Result<()> {
    let mut told = false;
    loop {
        match store.schema().await {
            Ok(Schema::Current) => return Ok(()),
            // The error with the two versions comes from the store itself.
            Ok(Schema::Newer) => {
                store.migrate().await?;
                return Ok(());
            }
            Ok(Schema::Behind) => {}
            Err(error) if error.may_pass() => {}
            Err(other) => return Err(other.into()),
        }
        if Instant::now() >= deadline {
            let failure = Failure::new(
                Exit::Unreachable,
                format!("the database was not brought up to date within {PATIENCE:?}"),
            );
            return Err(failure.fix("run `postrider migrate` with the same settings").into());
        }
        if !told {
            tracing::info!(role = role.as_str(), "database.waiting_for_migrate");
            told = true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
