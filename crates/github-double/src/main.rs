//! `github-double`: the double as a program, driven by `POST /_control` and read by
//! `GET /_journal`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use postrider_github_double::{Double, Options, Window};
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for GitHub on loopback.
///
/// Prints one JSON line with its address, then serves until SIGTERM or SIGINT.
#[derive(Parser)]
#[command(
    after_help = "Example: github-double --listen 127.0.0.1:0 --token T --rate 180/60s --ban"
)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A token that is accepted; may be repeated
    #[arg(long = "token", value_name = "TOKEN", default_value = "test-token")]
    tokens: Vec<String>,
    /// Writes per time and token, e.g. 180/60s or 180/500ms
    #[arg(long, value_name = "N/TIME", value_parser = window)]
    rate: Option<Window>,
    /// Ban a token that exceeds its limit
    #[arg(long, requires = "rate")]
    ban: bool,
    /// Wait before each answer, e.g. 20ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    latency: Option<Duration>,
    /// Append each request as a JSON line to this file
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Count only: keep no entries and no bodies
    #[arg(long)]
    bench: bool,
}

impl Arguments {
    fn options(self) -> Options {
        let base = if self.bench { Options::bench() } else { Options::default() };
        Options {
            tokens: self.tokens,
            rate: self.rate,
            ban: self.ban,
            listen: self.listen,
            latency: self.latency,
            journal_file: self.journal,
            ..base
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Arguments::parse().options();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let listen = options.listen;
    let double = Double::start(options).await;
    let double = double.with_context(|| format!("cannot start on {listen}"))?;
    let line = serde_json::json!({
        "message": "listening",
        "listen": double.addr().to_string(),
        "base_url": double.base_url(),
    });
    writeln!(std::io::stdout(), "{line}")?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    double.stop().await;
    Ok(())
}

fn window(text: &str) -> anyhow::Result<Window> {
    let (count, per) = text.split_once('/').context("expected N/TIME")?;
    let count = count.parse().context("the number of writes")?;
    let per = time(per)?;
    if count == 0 || per.is_zero() {
        bail!("both numbers must be above 0");
    }
    Ok(Window { count, per })
}

/// `20ms`, `6s`, `1m`; a bare number is seconds.
fn time(text: &str) -> anyhow::Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().context("expected a time such as 20ms or 6s")?;
    match text.strip_prefix(digits) {
        Some("ms") => Ok(Duration::from_millis(number)),
        Some("s" | "") => Ok(Duration::from_secs(number)),
        Some("m" | "min") => Ok(Duration::from_secs(number.saturating_mul(60))),
        Some(_) | None => bail!("unknown unit in {text:?}"),
    }
}
