//! The monitor's rounds, figures and memory, and how long processes take to start.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Figures, GROWN, median};
use crate::args::Growth;
use crate::sample::mebibytes;
use crate::services::Services;
use crate::subject::{Conditions, Running, Subject};
use crate::target::Target;

/// Rounds that are waited for; the first one learns.
const ROUNDS: usize = 8;
/// Every lane keeps the limit that it was filled with.
const LANES: &str = "[[lane]]\nmatch = ['growth-limited*/*']\nrate = '1/h'\nconcurrency = 1\n";

pub(super) async fn measure(growth: &Growth, services: &mut Services) -> Result<String> {
    let target = Target::start().await?;
    let settings = [
        ("MONITOR_INTERVAL", "1s".to_owned()),
        ("RUST_LOG", "info,postrider_monitor=debug".to_owned()),
    ];
    let conditions = Conditions {
        target: target.address(),
        workers: 1,
        settings: &settings,
        database: Some(GROWN),
    };
    let subject = Subject::Postrider { program: growth.program.clone(), distributed: true };
    let mut running = Running::start(&subject, services, &conditions).await?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), LANES)?;
    let mut figures = Figures::new("monitor and start");
    watch(&mut running, file.path(), &mut figures).await?;
    running.stop(services).await?;
    Ok(figures.text())
}

async fn watch(running: &mut Running, settings: &Path, figures: &mut Figures) -> Result<()> {
    let admin = running.add_monitor(settings).await?;
    for (what, line) in [("a round", "monitor.round"), ("its figures", "monitor.figures")] {
        let mut times = Vec::with_capacity(ROUNDS);
        for nth in 1..=ROUNDS {
            let line = running.line(line, nth).await?;
            let millis = line["took_ms"].as_u64().context("took_ms")?;
            times.push(Duration::from_millis(millis));
        }
        let slowest = times.iter().copied().max().unwrap_or_default();
        figures.took(&format!("{what}, the slowest"), slowest)?;
        figures.took(&format!("{what}, median"), median(times))?;
    }
    let began = Instant::now();
    let text = reqwest::get(format!("{admin}/metrics")).await?.text().await?;
    figures.took("/metrics", began.elapsed())?;
    figures
        .line("/metrics", &format!("{} KiB, {} lines", text.len() >> 10, text.lines().count()))?;
    for (part, peak) in running.watched().peaks() {
        if part != "rabbitmq" {
            figures.line(
                &format!("memory of {part}, at most"),
                &format!("{:.0} MiB", mebibytes(peak)),
            )?;
        }
    }
    for (role, ready) in running.ready_ms() {
        figures.line(&format!("start of {role} until it is ready"), &format!("{ready:.0} ms"))?;
    }
    Ok(())
}
