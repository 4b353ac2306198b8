//! Where things stand.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::query::query;

/// What waits in a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneBacklog {
    /// Name of the lane.
    pub lane: String,
    /// Deliveries waiting.
    pub waiting: u64,
}

/// Where things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// Waiting deliveries by lane.
    pub backlog: Vec<LaneBacklog>,
    /// Deliveries under way.
    pub sending: u64,
    /// Age of the oldest delivery that waits in an open lane.
    #[schema(required)]
    pub oldest_pending_seconds: Option<u64>,
    /// With `by=hour`: what each hour brought, newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hours: Option<Vec<HourStats>>,
}

/// Deliveries of one hour, by the status that they have now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HourStats {
    /// When the hour begins.
    pub hour: Timestamp,
    /// Not attempted yet.
    pub queued: u64,
    /// Taken by their targets.
    pub delivered: u64,
    /// To be tried again.
    pub retrying: u64,
    /// Held.
    pub held: u64,
    /// Failed for good.
    pub failed: u64,
    /// Discarded.
    pub discarded: u64,
    /// There are no more: very many are not counted to the end.
    pub is_exact: bool,
}

query! {
    /// How figures are told.
    pub struct StatsQuery {
        /// `hour`: what each hour brought, too.
        by: String { pattern = "^hour$" },
        /// The first hour, up to seven days back: RFC 3339, or back from now such as `24h`, which it
        /// is unless told.
        since: String,
    }
}
