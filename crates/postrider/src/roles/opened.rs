//! The store of a role, opened and known to be usable.

use std::time::Duration;

use postrider_store::{Schema, Store, StoreError};
use tokio::time::Instant;

use super::Role;
use crate::cli::{Exit, Failure};
use crate::config::{Mode, Settings, wiring};
use crate::datadir::DataDir;

/// How long a role waits for its database and for `postrider migrate`.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A store with what has to stay open beside it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) master_key: postrider_store::MasterKey,
    /// Keeps the data dir locked.
    _data_dir: Option<DataDir>,
}

impl Opened {
    /// Opens the store of `settings`; embedded it is migrated, distributed it is waited for.
    pub(crate) async fn open(settings: &Settings, role: Role) -> anyhow::Result<Self> {
        let data_dir = match &settings.mode {
            Mode::Embedded { data_dir } => Some(DataDir::open(data_dir)?),
            Mode::Distributed { .. } => None,
        };
        let config = wiring::store_config(settings, data_dir.as_ref())?;
        let master_key = config.master_key.clone();
        let deadline = Instant::now() + PATIENCE;
        let store = Store::connect(&config, PATIENCE).await?;
        match &settings.mode {
            Mode::Embedded { .. } => migrate(&store).await?,
            Mode::Distributed { .. } => await_schema(&store, role, deadline).await?,
        }
        store.check_key().await?;
        Ok(Self { store, master_key, _data_dir: data_dir })
    }
}

async fn migrate(store: &Store) -> Result<(), StoreError> {
    for name in store.migrate().await? {
        tracing::info!(migration = name, "database.migrated");
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
            Ok(Schema::Behind) | Err(StoreError::Unavailable(_)) => {}
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
            tracing::info!(role = role.as_str(), "waiting for postrider migrate");
            told = true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
