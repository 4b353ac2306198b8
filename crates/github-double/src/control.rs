//! The double's own calls, for use from other processes: `GET /_journal`, `POST /_control`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::decide::Shared;
use crate::options::Window;
use crate::play::{Play, PlayText, ScriptError};
use crate::reply::Reply;
use crate::request::Body;

/// Entries in one answer unless asked otherwise.
const PAGE: usize = 1_000;
/// Entries in one answer at most.
const PAGE_MAX: usize = 10_000;

/// Everything is optional; what is given is applied in the order of the fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Orders {
    /// Empties journal and counts, drops scripts, lifts bans.
    reset: bool,
    tokens: Option<Vec<String>>,
    /// Lifts the limit.
    unlimited: bool,
    rate: Option<RateText>,
    /// 0 for none.
    latency_ms: Option<u64>,
    script: Option<ScriptText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateText {
    count: u32,
    per_ms: u64,
    #[serde(default)]
    ban: bool,
}

/// A script without plays drops the target's script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptText {
    target: String,
    plays: Vec<PlayText>,
    #[serde(default)]
    repeat_last: bool,
}

/// `GET /_journal?from=SEQ&limit=N`: entries from that number on, the totals, the number to ask
/// for next.
pub(crate) fn journal(shared: &Shared, query: Option<&str>) -> Reply {
    let number = |name: &str| {
        let mut pairs = query.unwrap_or_default().split('&');
        pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
    };
    let from = number("from").unwrap_or(0);
    let limit = number("limit").map_or(PAGE, |n| usize::try_from(n).unwrap_or(PAGE_MAX));
    let entries = shared.entries(from, limit.min(PAGE_MAX));
    let next = entries.last().map_or(from, |entry| entry.seq + 1);
    Reply::json(
        StatusCode::OK,
        &json!({
            "entries": entries,
            "next": next,
            "counts": shared.counts(),
            "banned": shared.banned(),
            "in_flight_peak": shared.in_flight_peak(),
        }),
    )
}

/// `POST /_control`: 204, or 400 with the reason and nothing changed.
pub(crate) fn control(shared: &Shared, body: &Body) -> Reply {
    let bytes = match body {
        Body::Read(bytes) => bytes.as_ref(),
        Body::TooLong | Body::Broken | Body::Unread => &[],
    };
    let done = serde_json::from_slice::<Orders>(bytes)
        .map_err(|error| error.to_string())
        .and_then(|orders| obey(shared, orders).map_err(|error| error.to_string()));
    match done {
        Ok(()) => Reply::new(StatusCode::NO_CONTENT, HeaderMap::new(), Bytes::new()),
        Err(reason) => Reply::json(StatusCode::BAD_REQUEST, &json!({"detail": reason})),
    }
}

fn obey(shared: &Shared, orders: Orders) -> Result<(), ScriptError> {
    let script = orders.script.map(read_script).transpose()?;
    if orders.reset {
        shared.reset();
    }
    if let Some(tokens) = orders.tokens {
        shared.accept_tokens(tokens);
    }
    if orders.unlimited {
        shared.set_rate(None, false);
    }
    if let Some(RateText { count, per_ms, ban }) = orders.rate {
        let per = Duration::from_millis(per_ms);
        shared.set_rate(Some(Window { count, per }), ban);
    }
    if let Some(ms) = orders.latency_ms {
        shared.set_latency((ms > 0).then(|| Duration::from_millis(ms)));
    }
    match script {
        Some((target, plays, repeat_last)) => shared.script(&target, plays, repeat_last),
        None => Ok(()),
    }
}

/// Everything that can be wrong with a script is found before anything is changed.
fn read_script(text: ScriptText) -> Result<(String, Vec<Play>, bool), ScriptError> {
    let plays = text.plays.into_iter().map(Play::try_from);
    let plays = plays.collect::<Result<Vec<Play>, ScriptError>>()?;
    for play in &plays {
        play.check()?;
    }
    Ok((text.target, plays, text.repeat_last))
}
