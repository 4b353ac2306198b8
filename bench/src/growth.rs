//! What people, the monitor, deliveries and retention pay when much has gathered, over a database
//! that was filled for it.
//!
//! It takes long and is no part of the tests; `docs/growth.md` keeps figures with their size.

mod cost;
mod fill;
mod hot;
mod lists;
mod monitor;
mod page;
mod retention;
mod sqlite;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use postrider_store::{MasterKey, Store, StoreConfig, Target};
use secrecy::SecretString;

use crate::args::{Growth, Part, Size};
use crate::machine::Machine;
use crate::rounds::tell;
use crate::services::Services;
use crate::show;
use crate::subject::master_key;

/// The database in which much has gathered, and the same without deliveries and events.
const GROWN: &str = "grown";
const EMPTY: &str = "empty";
/// How often each question is asked; the median is shown.
const TIMES: usize = 5;

/// Measures the parts and shows each when it is done.
pub(crate) async fn run(growth: &Growth) -> Result<()> {
    ensure!(growth.program.exists(), "{} is missing; build it first", growth.program.display());
    let machine = Machine::look(&[("new", growth.program.as_path())]);
    let Size { finished, waiting, pairs, webhooks, lanes } = growth.size;
    show(&format!(
        "{}\n{finished} finished, {waiting} waiting, {pairs} pairs, {webhooks} webhooks, \
         {lanes} lanes\n\n",
        machine.line()
    ))?;
    let parts = if growth.parts.is_empty() { Part::ALL.to_vec() } else { growth.parts.clone() };
    if parts.contains(&Part::Sqlite) {
        show(&sqlite::measure(growth).await?)?;
    }
    if parts == [Part::Sqlite] {
        return Ok(());
    }
    if let Some(dir) = &growth.dir {
        readable(dir)?;
    }
    let mut services = Services::start_at(growth.dir.as_deref()).await?;
    let began = Instant::now();
    let day = fill::database(&services, GROWN, growth.size).await?;
    tell(&format!("filled, or found, within {:.0?}", began.elapsed()));
    let store = open(&services.database_url(GROWN)).await?;
    // It may be kept from a version before.
    store.migrate().await?;
    if parts.contains(&Part::Lists) {
        show(&lists::measure(&store, day).await?)?;
    }
    if parts.contains(&Part::Page) {
        show(&page::measure(growth, &mut services).await?)?;
    }
    if parts.contains(&Part::Monitor) {
        show(&monitor::measure(growth, &mut services).await?)?;
    }
    if parts.contains(&Part::Cost) {
        let none = Size { finished: 0, waiting: 0, ..growth.size };
        fill::database(&services, EMPTY, none).await?;
        show(&cost::measure(growth, &mut services).await?)?;
    }
    if parts.contains(&Part::Retention) {
        show(&retention::measure(growth, &mut services, &store).await?)?;
    }
    store.close().await;
    Ok(())
}

async fn open(url: &str) -> Result<Store> {
    let url = SecretString::from(url.to_owned());
    connect(Target::Postgres { url, max_connections: 10 }).await
}

async fn connect(target: Target) -> Result<Store> {
    let key = MasterKey::from_base64(&master_key().into()).map_err(anyhow::Error::msg)?;
    let config = StoreConfig {
        target,
        master_key: key,
        sweep_after: Duration::from_mins(2),
        statement_timeout: Duration::from_secs(2),
    };
    Ok(Store::connect(&config, Duration::from_secs(5)).await?)
}

/// Postgres runs as another user when this is root.
fn readable(dir: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(dir)?;
    Ok(std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?)
}

/// A table with two columns.
struct Figures(String);

impl Figures {
    fn new(title: &str) -> Self {
        Self(format!("| {title} | |\n|---|---|\n"))
    }

    fn line(&mut self, what: &str, figure: &str) -> Result<()> {
        Ok(writeln!(self.0, "| {what} | {figure} |")?)
    }

    fn took(&mut self, what: &str, took: Duration) -> Result<()> {
        self.line(what, &millis(took))
    }

    fn text(self) -> String {
        self.0 + "\n"
    }
}

fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

async fn timed<E>(ask: impl AsyncFn() -> Result<(), E>) -> Result<Duration, E> {
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        ask().await?;
        times.push(began.elapsed());
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
