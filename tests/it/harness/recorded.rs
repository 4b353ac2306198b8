//! Answers that were recorded from a Pact Broker, and from GitHub.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use postrider_github_double::Play;
use serde_json::Value;

/// The body of an answer that was recorded from Pact Broker 2.120.0.
pub(crate) fn recorded(name: &str) -> Result<Value> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker/tests/data");
    let text = std::fs::read(data.join(format!("{name}.json"))).with_context(|| name.to_owned())?;
    let exchange: Value = serde_json::from_slice(&text)?;
    Ok(exchange["response"]["body"].clone())
}

/// GitHub takes a dispatch and says that its token ends then: as recorded, but for the instant,
/// which was soon over.
pub(crate) fn taken_for_a_token_that_ends(at: Timestamp) -> Play {
    let ends = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    Play::RecordedWith {
        case: "dispatch-204-fine-grained-expiring",
        headers: vec![("github-authentication-token-expiration".to_owned(), ends)],
    }
}

/// In ninety days: nobody warns of it yet.
pub(crate) fn in_ninety_days() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(90 * 24)
}
