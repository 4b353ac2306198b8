//! The roles, alone or together in one process.
//!
//! | role | takes | gives |
//! |---|---|---|
//! | ingest | HTTP | rows, messages |
//! | worker | messages, due rows | requests, outcomes |
//! | monitor | outcomes | incidents, figures |

mod role;
mod running;
mod store_handle;

use std::io::{IsTerminal as _, stdout};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use postrider_cli::Exit;
use postrider_config::Settings;
use postrider_telemetry::LogFormat;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::wiring;

pub(crate) use role::Role;
pub(crate) use running::Running;

/// After the second signal a process ends at once, with this code.
const INTERRUPTED: u8 = 130;
/// Log lines on their way out when the process ends.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(2);

/// All roles in one process; `started` is called once when they answer, with the address.
pub(crate) async fn serve(
    settings: Settings,
    started: impl AsyncFnOnce(Option<SocketAddr>) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    Box::pin(run(settings, Role::Serve, started)).await
}

/// Nobody waits for the start.
pub(crate) async fn quietly(_: Option<SocketAddr>) -> anyhow::Result<()> {
    Ok(())
}

/// HTTP in.
pub(crate) async fn ingest(settings: Settings) -> anyhow::Result<ExitCode> {
    Box::pin(run(settings, Role::Ingest, quietly)).await
}

/// Delivers.
pub(crate) async fn worker(settings: Settings) -> anyhow::Result<ExitCode> {
    Box::pin(run(settings, Role::Worker, quietly)).await
}

/// Watches.
pub(crate) async fn monitor(settings: Settings) -> anyhow::Result<ExitCode> {
    Box::pin(run(settings, Role::Monitor, quietly)).await
}

/// Connections need descriptors, and many systems allow far fewer at first than they would give.
fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => tracing::debug!(from = current, to = maximum, "descriptors.raised"),
        Err(error) => tracing::warn!(%error, at = current, "descriptors.not_raised"),
    }
}

/// Runs until a signal, then drains; a second signal ends the process at once.
async fn run(
    settings: Settings,
    role: Role,
    started: impl AsyncFnOnce(Option<SocketAddr>) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let here = if stdout().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    wiring::check_log_filter(&settings)?;
    postrider_telemetry::init(&settings.log.filter, settings.log.format.unwrap_or(here))?;
    if let Some(at) = settings.test.crash_at {
        postrider_telemetry::step::arm(at);
    }
    raise_descriptors();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let running = tokio::select! {
        running = Running::start(&settings, role) => running,
        _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
        _ = terminate.recv() => return Ok(Exit::Fine.into()),
    };
    let running = running?;
    running.announce();
    let lives = async {
        match started(running.listen()).await {
            Ok(()) => running.failed().await,
            Err(failed) => failed,
        }
    };
    let ended = tokio::select! {
        failed = lives => Err(failed),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    tracing::info!(role = role.as_str(), "stopping");
    let drained = tokio::select! {
        () = running.stop() => true,
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
    };
    if drained {
        tracing::info!(role = role.as_str(), "stopped");
    }
    // Where standard output hangs or is closed nobody reads them; what was drained is drained.
    postrider_telemetry::flush(LAST_LINES_WITHIN);
    ended?;
    Ok(if drained { Exit::Fine.into() } else { ExitCode::from(INTERRUPTED) })
}
