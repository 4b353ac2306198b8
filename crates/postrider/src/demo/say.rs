//! What the tour tells.

use std::io::Write;

use postrider_cli::complain;
use serde::Serialize;

/// What the tour came to; `--json` ends with it on one line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    /// Events accepted.
    pub(super) events: u64,
    /// Deliveries that they made.
    pub(super) deliveries: u64,
    /// Deliveries that the target took.
    pub(super) delivered: u64,
    /// Deliveries that waited in the held lane at most.
    pub(super) held_peak: u64,
    /// Requests that the target took twice.
    pub(super) duplicates: u64,
    /// Events that never arrived.
    pub(super) lost: u64,
    /// How long it took.
    pub(super) seconds: f64,
}

/// What the tour tells a person: on standard output, or with `--json` on standard error.
#[derive(Debug)]
pub(super) struct Say {
    to_stderr: bool,
}

impl Say {
    pub(super) fn new(to_stderr: bool) -> Self {
        Self { to_stderr }
    }

    pub(super) fn line(&mut self, text: &str) {
        if self.to_stderr {
            complain(text);
        } else {
            print_line(text);
        }
    }

    /// What to look at while everything still runs.
    pub(super) fn next(&mut self, url: &str) {
        for line in [
            "",
            "Running until Ctrl-C. In another terminal:",
            &format!("  export POSTRIDER_URL={url}"),
            "  postrider deliveries list",
            "  postrider lanes list",
            "  postrider secrets list",
        ] {
            self.line(line);
        }
    }

    pub(super) fn summary(&mut self, summary: &Summary) {
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
pub(crate) fn print_line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        complain("nobody reads standard output any more");
    }
}
