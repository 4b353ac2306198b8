//! Figures: where things stand, and what each hour brought.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use postrider_api::{HourStats, LaneBacklog, Stats, StatsQuery};
use postrider_domain::DeliveryStatus;
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::HourCounts;
use serde_json::json;

use crate::api::example::LANE;
use crate::api::params::{Params, instant, wrong};
use crate::app::App;

const HOUR: i64 = 3_600;
/// Hours that are told unless somebody asks for others, and at most.
const HOURS: i64 = 24;
const MOST: i64 = 7 * 24;

/// `GET /api/v1/stats`.
pub(super) async fn show(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[StatsQuery::NAMES])?;
    let now = Timestamp::now();
    let by_hour = match params.get("by") {
        None => false,
        Some("hour") => true,
        Some(other) => return Err(wrong("by", format!("must be hour, not {other:?}"))),
    };
    let since = match params.get("since") {
        Some(_) if !by_hour => return Err(wrong("since", "is given with by=hour alone")),
        Some(text) => instant(text, now).map_err(|detail| wrong("since", detail))?,
        None => now.saturating_sub(SignedDuration::from_hours(HOURS - 1)).unwrap_or(now),
    };
    let hours = match by_hour.then(|| starts(since, now)) {
        None => None,
        Some(None) => return Err(wrong("since", "must be within the last seven days")),
        Some(Some(starts)) => Some(app.store().hours(&starts).await?.iter().map(hour).collect()),
    };
    let stats = app.store().stats().await?;
    let backlog = stats.backlog.into_iter();
    let stats = Stats {
        backlog: backlog.map(|(lane, waiting)| LaneBacklog { lane, waiting }).collect(),
        sending: stats.sending,
        oldest_pending_seconds: stats.oldest_pending.map(|age| age.as_secs()),
        hours,
    };
    Ok(Json(stats).into_response())
}

pub(super) fn show_described() -> Operation {
    let backlog = json!([{"lane": LANE, "waiting": 12}]);
    let example = json!({"backlog": backlog, "sending": 1, "oldest_pending_seconds": 4});
    Operation::new(Tag::Operations, "showStats", "Show where things stand")
        .query::<StatsQuery>()
        .answers::<Stats>(200, "Fine.")
        .example(200, example)
}

/// The beginnings of the hours from the one of `since` to the one of `now`, newest first; `None`
/// when they are too many or none.
fn starts(since: Timestamp, now: Timestamp) -> Option<Vec<Timestamp>> {
    let hour = |at: Timestamp| at.as_second().div_euclid(HOUR);
    let (first, last) = (hour(since), hour(now));
    // Seven days back is in the hour before the first of so many.
    if first > last || last - first > MOST {
        return None;
    }
    (first..=last).rev().map(|hour| Timestamp::from_second(hour * HOUR).ok()).collect()
}

fn hour(counts: &HourCounts) -> HourStats {
    HourStats {
        hour: counts.start,
        queued: counts.of(DeliveryStatus::Queued),
        delivered: counts.of(DeliveryStatus::Delivered),
        retrying: counts.of(DeliveryStatus::Retrying),
        held: counts.of(DeliveryStatus::Held),
        failed: counts.of(DeliveryStatus::Failed),
        discarded: counts.of(DeliveryStatus::Discarded),
        is_exact: counts.is_exact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_begin_at_full_hours() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let now = at("2026-11-22T12:30:00Z");
        let found = starts(at("2026-11-22T10:59:59Z"), now).unwrap();
        let wanted = ["12", "11", "10"].map(|hour| at(&format!("2026-11-22T{hour}:00:00Z")));
        assert_eq!(found, wanted);
        assert_eq!(starts(now, at("2026-11-22T11:30:00Z")), None, "later than now");
        assert_eq!(starts(at("2026-11-15T11:30:00Z"), now), None, "more than seven days");
        assert_eq!(starts(at("2026-11-15T12:30:00Z"), now).unwrap().len(), 169);
    }
}
