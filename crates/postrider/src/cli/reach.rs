//! `postrider config check --connect`: whether what the settings name is there, and whether the way
//! to it is encrypted. Nothing is changed anywhere.

use std::time::Duration;

use postrider_broker::{Broker, BrokerError};
use postrider_cli::{Exit, Out, complain};
use postrider_config::{Mode, Settings};
use postrider_http_client::Outbound;
use postrider_queue::try_out;
use postrider_store::{Schema, Store};
use secrecy::ExposeSecret as _;

use crate::wiring;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found of one of them.
struct Found {
    what: String,
    exit: Exit,
    line: String,
}

impl Found {
    fn fine(what: impl Into<String>, line: impl Into<String>) -> Self {
        Self { what: what.into(), exit: Exit::Fine, line: line.into() }
    }

    fn bad(what: impl Into<String>, exit: Exit, line: impl Into<String>) -> Self {
        Self { what: what.into(), exit, line: line.into() }
    }
}

/// Tries all of them; the worst decides.
pub(super) async fn check(
    settings: &Settings,
    outbound: &Outbound,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let mut all = vec![store(settings).await?];
    all.extend(queue(settings).await?);
    all.extend(brokers(settings, outbound).await);
    for found in &all {
        let line = format!("{}: {}", found.what, found.line);
        if found.exit == Exit::Fine { out.line(line) } else { complain(&line) }
    }
    let worst = all.iter().map(|found| found.exit).max_by_key(|exit| match exit {
        Exit::Fine => 0,
        Exit::Credential => 1,
        Exit::Usage => 2,
        _ => 3,
    });
    Ok(worst.unwrap_or(Exit::Fine))
}

async fn store(settings: &Settings) -> anyhow::Result<Found> {
    const WHAT: &str = "store";
    if let Mode::Embedded { data_dir } = &settings.mode
        && !data_dir.exists()
    {
        let line = format!("{} is made at the first start", data_dir.display());
        return Ok(Found::fine(WHAT, line));
    }
    let data_dir = wiring::data_dir(settings)?;
    let config = wiring::store_config(settings, data_dir.as_ref())?;
    let store = match Store::connect(&config, PATIENCE).await {
        Ok(store) => store,
        Err(error) => return Ok(Found::bad(WHAT, Exit::Unreachable, error.to_string())),
    };
    let found = match (store.schema().await, store.is_encrypted().await) {
        (Ok(schema), Ok(encrypted)) => {
            let way = encrypted.map_or("a file", encryption);
            let state = match schema {
                Schema::Current => "up to date",
                Schema::Behind => "not up to date: run `postrider migrate`",
                Schema::Newer => "of a newer postrider",
            };
            let exit = if schema == Schema::Newer { Exit::Usage } else { Exit::Fine };
            Found { what: WHAT.to_owned(), exit, line: format!("reachable, {way}, {state}") }
        }
        (Err(error), _) | (_, Err(error)) => Found::bad(WHAT, Exit::Unreachable, error.to_string()),
    };
    store.close().await;
    Ok(found)
}

async fn queue(settings: &Settings) -> anyhow::Result<Option<Found>> {
    const WHAT: &str = "queue";
    let Mode::Distributed { amqp_url, .. } = &settings.mode else { return Ok(None) };
    let config = wiring::queue_config(settings, "check")?;
    let is_encrypted = amqp_url.expose_secret().starts_with("amqps:");
    Ok(Some(match try_out(&config).await {
        Ok(()) => Found::fine(WHAT, format!("reachable, {}", encryption(is_encrypted))),
        Err(error) => Found::bad(WHAT, Exit::Unreachable, error.to_string()),
    }))
}

async fn brokers(settings: &Settings, outbound: &Outbound) -> Vec<Found> {
    let mut all = Vec::new();
    for broker in wiring::monitor_config(settings, outbound).brokers {
        let what = format!("broker {}", broker.name);
        let is_encrypted = broker.config.base_url.scheme() == "https";
        let asked = match Broker::new(broker.config) {
            Ok(client) => client.index().await.map(drop),
            Err(error) => Err(error),
        };
        all.push(match asked {
            Ok(()) => Found::fine(what, format!("reachable, {}", encryption(is_encrypted))),
            Err(error) => {
                let exit = match &error {
                    BrokerError::Credential { .. } => Exit::Credential,
                    BrokerError::Setup { .. } => Exit::Usage,
                    _ => Exit::Unreachable,
                };
                Found::bad(what, exit, error.to_string())
            }
        });
    }
    all
}

fn encryption(is_encrypted: bool) -> &'static str {
    if is_encrypted { "encrypted" } else { "not encrypted" }
}
