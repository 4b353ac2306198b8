//! What is asked of a stream, and what it tells beside entries of lists.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a stream tells of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// Some of `deliveries`, `lanes`, `incidents` and `pairs`, with commas between; all unless
    /// told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(nullable = false)]
    pub topics: Option<String>,
}

/// Deliveries that a stream left out, because there were too many in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Skipped {
    /// How many.
    pub deliveries: u64,
}
