//! What the tests stand on: real processes, real services, a double of GitHub, lines that can be
//! cut, and the checks that hold whatever happened.

mod api;
mod checks;
mod cluster;
mod collector;
mod load;
mod place;
mod process;
mod proxy;
mod receiver;
mod recorded;
mod scan;
mod seed;
mod services;
#[path = "../../../crates/store/tests/conformance/silence.rs"]
mod silence;
mod target;
mod wait;

pub(crate) use api::{Answer, Api};
pub(crate) use checks::{Settled, dispatched, settled, waits};
pub(crate) use cluster::{Cluster, Mode, Plan};
pub(crate) use collector::{Collector, Span};
pub(crate) use load::{Accepted, Intakes, Load};
pub(crate) use place::{Services, shared_rabbitmq_data, variable};
pub(crate) use process::{Process, Setting, Signal, run, run_until, run_with, setting};
pub(crate) use proxy::Proxy;
pub(crate) use receiver::{Received, Receiver, Reply};
pub(crate) use recorded::{in_ninety_days, recorded, taken_for_a_token_that_ends};
pub(crate) use scan::{Canaries, escaped};
pub(crate) use seed::{EVENT_NAME, event, hook_webhook, webhook};
pub(crate) use services::{Alertmanager, PostgresExporter, Prometheus, free_port};
pub(crate) use silence::{Moment, Silence};
pub(crate) use target::{Scripted, ScriptedTarget};
pub(crate) use wait::{Looking, wait_until};

use std::time::Duration;

/// Enough for anything that has to happen soon, on a machine that does other work too.
pub(crate) const SOON: Duration = Duration::from_secs(45);

/// Each test once with one process and once with several, in a module of its own.
macro_rules! in_both_modes {
    ($($module:ident: $test:path;)*) => {$(
        mod $module {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() -> anyhow::Result<()> {
                Box::pin($test($crate::harness::Mode::Embedded)).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn distributed() -> anyhow::Result<()> {
                Box::pin($test($crate::harness::Mode::Distributed)).await
            }
        }
    )*};
}

pub(crate) use in_both_modes;

/// Tells whoever reads a test's output.
#[expect(clippy::print_stderr, reason = "a test's output is for people, and kept when it fails")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
