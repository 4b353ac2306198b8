//! A tour in one command: a credential dies in the middle of a run, nothing is dropped, and
//! after the rotation everything arrives.
//!
//! Everything is real but GitHub: the roles of `serve` on a temporary data dir, events through
//! the HTTP intake, a stand-in for GitHub that answers 401 as GitHub does.

pub(crate) mod say;
pub(crate) mod seed;
mod tour;

use std::process::ExitCode;

use crate::cli::DemoArgs;
use postrider_cli::Exit;
use say::{Say, print_line};
use tour::Tour;

/// Runs the tour.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut say = Say::new(args.json);
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
        say.next(&tour.url());
        interrupted.await?;
    }
    tour.stop().await;
    Ok(if summary.lost == 0 { Exit::Fine } else { Exit::No }.into())
}
