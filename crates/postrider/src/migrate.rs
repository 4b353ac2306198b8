//! `postrider migrate`.

use std::process::ExitCode;
use std::time::Duration;

use postrider_cli::{Exit, Failure, Out};
use postrider_config::Settings;
use postrider_store::{Schema, Store};

use crate::wiring;

/// How long a database that is still starting is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Brings the schema up to date and says which migrations ran.
pub(crate) async fn run(settings: &Settings, out: &mut Out) -> anyhow::Result<ExitCode> {
    // Held to the end: nobody else may open the data dir meanwhile.
    let data_dir = wiring::data_dir(settings)?;
    let config = wiring::store_config(settings, data_dir.as_ref())?;
    let store = Store::connect(&config, PATIENCE).await?;
    let migrated = migrate(&store, out).await;
    store.close().await;
    migrated.map(|()| Exit::Fine.into())
}

async fn migrate(store: &Store, out: &mut Out) -> anyhow::Result<()> {
    match store.schema().await? {
        Schema::Current => out.line("the database is up to date"),
        Schema::Behind => {
            for migration in store.migrate().await? {
                out.line(format_args!("applied {migration}"));
            }
        }
        Schema::Newer => {
            return Err(Failure::usage("the database was migrated by a newer postrider")
                .fix("run that one, or newer")
                .into());
        }
    }
    Ok(())
}
