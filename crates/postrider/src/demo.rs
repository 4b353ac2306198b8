//! A tour in one command: a credential dies in the middle of a run, nothing is dropped, and
//! after the rotation everything arrives.
//!
//! Everything is real but GitHub: the roles of `serve` on a temporary data dir, events through
//! the HTTP intake, a stand-in for GitHub that answers 401 as GitHub does.

mod seed;
mod tour;

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::{DemoArgs, Exit, complain};
use tour::Tour;

/// What the tour came to; `--json` ends with it on one line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Events accepted.
    events: u64,
    /// Deliveries that they made.
    deliveries: u64,
    /// Deliveries that the target took.
    delivered: u64,
    /// Deliveries that waited in the held lane at most.
    held_peak: u64,
    /// Requests that the target took twice.
    duplicates: u64,
    /// Events that never arrived.
    lost: u64,
    /// How long it took.
    seconds: f64,
}

/// Runs the tour.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut say = Say { to_stderr: args.json };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut tour = Tour::start(args.events).await?;
    say.line(&format!("postrider   {}", tour.url()));
    say.line(&format!("GitHub      {} (a stand-in on this machine)", tour.github_url()));
    let summary = tokio::select! {
        summary = Box::pin(tour.go(&mut say)) => summary?,
        _ = &mut interrupted => {
            tour.stop().await;
            return Ok(ExitCode::from(130));
        }
    };
    say.summary(&summary);
    if args.json {
        print_line(&serde_json::to_string(&summary)?);
    }
    if args.keep {
        say.line(&format!(
            "Running until Ctrl-C: try `postrider deliveries list --url {}`",
            tour.url()
        ));
        interrupted.await?;
    }
    tour.stop().await;
    Ok(if summary.lost == 0 { Exit::Fine } else { Exit::No }.into())
}

/// What the tour tells a person: on standard output, or with `--json` on standard error.
#[derive(Debug)]
pub(crate) struct Say {
    to_stderr: bool,
}

impl Say {
    fn line(&mut self, text: &str) {
        if self.to_stderr {
            complain(text);
        } else {
            print_line(text);
        }
    }

    fn summary(&mut self, summary: &Summary) {
        self.line("");
        self.line(&format!("events:     {}", summary.events));
        self.line(&format!("deliveries: {}", summary.deliveries));
        self.line(&format!("delivered:  {}", summary.delivered));
        self.line(&format!("held peak:  {}", summary.held_peak));
        self.line(&format!(
            "lost: {}, duplicates: {}, in {:.1} s",
            summary.lost, summary.duplicates, summary.seconds
        ));
    }
}

/// A reader that has gone away is no error.
fn print_line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        complain("nobody reads standard output any more");
    }
}
