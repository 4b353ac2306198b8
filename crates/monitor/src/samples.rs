//! What figures show.

use jiff::Timestamp;
use postrider_domain::LaneState;
use postrider_store::{LaneInfo, StreakFact};
use postrider_telemetry::{LaneGauge, LaneSample, WebhookSample};

/// A lane's state and backlog.
pub(crate) fn lane(lane: &LaneInfo) -> LaneSample {
    let paused = lane.paused_until.is_some_and(|until| until > Timestamp::now());
    let (state, cause) = match lane.state {
        LaneState::Held(cause) => (LaneGauge::Held, Some(cause.as_str())),
        LaneState::Open if paused => (LaneGauge::Paused, None),
        LaneState::Open => (LaneGauge::Open, None),
    };
    LaneSample { lane: lane.name.clone(), state, cause, backlog: lane.backlog }
}

/// Failures of one webhook in a row.
pub(crate) fn webhook(streak: &StreakFact) -> WebhookSample {
    WebhookSample {
        webhook: streak.webhook.to_string(),
        description: streak.description.clone(),
        lane: streak.lane.clone(),
        consecutive_failures: streak.failures,
        last_success: streak.last_success_at.map(Timestamp::as_second),
    }
}
