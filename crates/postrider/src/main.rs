//! postrider: the delivery tier for webhooks of a Pact Broker or PactFlow.

mod admin;
mod alerts;
mod cli;
mod datadir;
mod demo;
mod dev;
mod migrate;
mod openapi;
mod roles;
mod serving;
mod topology;
mod version;
mod wiring;

use std::process::ExitCode;
use std::time::Duration;

use postrider_telemetry::LastLines;

/// A delivery is many small pieces of memory that one thread takes and another gives back, which
/// the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// For log lines on their way out, however the process ends.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let _last_lines = LastLines { within: LAST_LINES_WITHIN };
    let (command_line, style) = cli::parse();
    // TLS has one provider in the whole program; an error only says that it is there already.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli::run(command_line, style)));
    ended.unwrap_or_else(|error| cli::report(&error))
}
