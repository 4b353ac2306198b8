//! Where things stand.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
}
