//! Lists and retention in one file, filled through the store's own steps.

use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use postrider_store::Target;

use super::{Figures, connect, fill, hot, lists};
use crate::args::Growth;
use crate::rounds::tell;

/// Of the finished deliveries.
const SHARE: u32 = 10;
/// Rows that retention looks at in one statement.
const CHUNK: u32 = 2_000;

pub(super) async fn measure(growth: &Growth) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let store = connect(Target::Sqlite { path: dir.path().join("grown.db") }).await?;
    store.migrate().await?;
    let webhook = fill::webhook(&store, "growth-webhook-7").await?;
    let count = growth.size.finished / SHARE;
    let began = Instant::now();
    hot::deliver(&store, &webhook, count).await?;
    tell(&format!("SQLite: {count} delivered within {:.0?}", began.elapsed()));
    // So that its twelfth hour lies in the middle of what was just done.
    let middle = Timestamp::now().checked_sub(SignedDuration::try_from(began.elapsed() / 2)?)?;
    let day = middle.checked_sub(SignedDuration::from_hours(12))?;
    let mut text = format!("SQLite, {count} finished\n\n{}", lists::measure(&store, day).await?);
    let mut figures = Figures::new("retention in SQLite");
    let began = Instant::now();
    let gone = store.prune(Duration::ZERO, Duration::ZERO, CHUNK).await?;
    figures.line("deliveries that went", &gone.to_string())?;
    figures.line("it took", &format!("{:.0} s", began.elapsed().as_secs_f64()))?;
    text += &figures.text();
    store.close().await;
    Ok(text)
}
