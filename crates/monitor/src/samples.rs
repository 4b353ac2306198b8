//! What figures show.

use jiff::Timestamp;
use postrider_domain::LaneState;
use postrider_store::LaneInfo;
use postrider_telemetry::{LaneGauge, LaneSample};

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
