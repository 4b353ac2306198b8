//! Lanes whose limit lets the last waiting delivery leave too late.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::LaneState;
use postrider_store::{IncidentFinding, IncidentKind, LaneInfo, Severity};

use crate::words::{quoted, told_duration};

/// What waits for one limit, in lanes that are open: what waits in a held one has an incident of
/// its own.
struct Waiting<'a> {
    lane: &'a LaneInfo,
    deliveries: u64,
    is_exact: bool,
}

/// The limits of which the newest waiting delivery would leave later than `objective` from now,
/// because of the rate, or of a pause that a target asked for.
pub(super) fn late(
    lanes: &[LaneInfo],
    objective: Duration,
    now: Timestamp,
) -> Vec<IncidentFinding> {
    let mut limits: BTreeMap<&str, Waiting<'_>> = BTreeMap::new();
    for lane in lanes.iter().filter(|lane| lane.state == LaneState::Open && lane.backlog > 0) {
        let of_limit = limits.entry(lane.limit.as_str());
        let waiting = of_limit.or_insert(Waiting { lane, deliveries: 0, is_exact: true });
        waiting.deliveries += lane.backlog;
        waiting.is_exact &= lane.backlog_is_exact;
    }
    limits.values().filter_map(|waiting| finding(waiting, objective, now)).collect()
}

fn finding(waiting: &Waiting<'_>, objective: Duration, now: Timestamp) -> Option<IncidentFinding> {
    let (lane, deliveries) = (waiting.lane, waiting.deliveries);
    let objective = SignedDuration::try_from(objective).unwrap_or(SignedDuration::MAX);
    let paused_until = lane.paused_until.filter(|until| *until > now);
    let pause = paused_until.map_or(SignedDuration::ZERO, |until| until.duration_since(now));
    let drain = lane.limits.drain_seconds(deliveries);
    let drain = SignedDuration::from_secs(i64::try_from(drain).unwrap_or(i64::MAX));
    let leaves = pause.saturating_add(drain);
    if leaves <= objective {
        return None;
    }
    let many = if waiting.is_exact { "" } else { "at least " };
    let wait = if deliveries == 1 { "delivery waits" } else { "deliveries wait" };
    let wanted = format!(
        "{many}{deliveries} {wait}, the last of which would leave in {}, later than the {} of \
         POSTRIDER_DELIVERY_OBJECTIVE",
        told_duration(leaves),
        told_duration(objective)
    );
    let (cause, summary, next) = match paused_until {
        Some(until) if pause > objective => (
            "paused",
            format!("Its target asked lane {} to pause until {until:.0}: {wanted}", lane.name),
            format!("postrider lanes release {}", quoted(&lane.name)),
        ),
        _ => (
            "rate",
            format!("Limit {} allows {}: {wanted}", lane.limit, lane.limits.rate),
            "postrider lanes list".to_owned(),
        ),
    };
    Some(IncidentFinding {
        kind: IncidentKind::LaneLate,
        subject: lane.limit.clone(),
        cause,
        severity: Severity::Warning,
        summary,
        next,
    })
}

#[cfg(test)]
mod tests {
    use postrider_domain::{HoldCause, LaneId, LaneLimits};
    use postrider_store::ManualHold;

    use super::*;

    const OBJECTIVE: Duration = Duration::from_mins(5);

    fn now() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().unwrap()
    }

    fn lane(name: &str, rate: &str, backlog: u64) -> LaneInfo {
        LaneInfo {
            id: LaneId(1),
            name: name.to_owned(),
            limit: name.to_owned(),
            limits: LaneLimits {
                rate: rate.parse().unwrap(),
                burst: 1,
                concurrency: 1,
                per_hour: None,
            },
            state: LaneState::Open,
            held_since: None,
            hold: ManualHold::default(),
            paused_until: None,
            last_send_at: None,
            backlog,
            backlog_is_exact: true,
            sending: 0,
            oldest_at: None,
            open_since: None,
        }
    }

    #[test]
    fn a_backlog_is_late_when_its_limit_needs_longer_than_the_objective() {
        let late = |lane: LaneInfo| late(&[lane], OBJECTIVE, now());
        assert!(late(lane("a/t", "60/min", 200)).is_empty());
        assert!(late(lane("a/t", "unlimited", 1_000_000)).is_empty());
        let found = late(lane("a/t", "60/min", 900));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].subject.as_str(), found[0].cause), ("a/t", "rate"));
        assert!(found[0].summary.contains("900 deliveries wait"), "{}", found[0].summary);
        let held =
            LaneInfo { state: LaneState::Held(HoldCause::Manual), ..lane("a/t", "60/min", 900) };
        assert!(late(held).is_empty(), "it has an incident, or was held by hand");
    }

    #[test]
    fn lanes_that_share_a_limit_wait_for_each_other() {
        let of = |name: &str| LaneInfo { limit: "joined".to_owned(), ..lane(name, "60/min", 200) };
        let found = late(&[of("a/t"), of("b/t")], OBJECTIVE, now());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject, "joined");
        assert!(found[0].summary.contains("400 deliveries"), "{}", found[0].summary);
    }

    #[test]
    fn a_long_pause_says_until_when_and_how_to_end_it() {
        let paused = |seconds| LaneInfo {
            paused_until: Some(now() + SignedDuration::from_secs(seconds)),
            ..lane("a/t", "unlimited", 1)
        };
        assert!(late(&[paused(299)], OBJECTIVE, now()).is_empty());
        assert!(late(&[paused(-900)], OBJECTIVE, now()).is_empty());
        let found = late(&[paused(7_200)], OBJECTIVE, now());
        assert_eq!(
            (found[0].cause, found[0].next.as_str()),
            ("paused", "postrider lanes release a/t")
        );
        let summary = &found[0].summary;
        assert!(summary.contains("until 2026-11-29T14:00:00Z: 1 delivery waits"), "{summary}");
        let idle = LaneInfo { backlog: 0, ..paused(7_200) };
        assert!(late(&[idle], OBJECTIVE, now()).is_empty(), "nothing waits for it");
    }
}
