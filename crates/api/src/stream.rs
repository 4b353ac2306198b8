//! What is asked of a stream, and what it tells beside entries of lists.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::query::query;

query! {
    /// What a stream tells of.
    pub struct StreamQuery {
        /// Some of `deliveries`, `lanes`, `incidents` and `pairs`, with commas between; all unless
        /// told.
        topics: String,
    }
}

/// Deliveries that a stream left out, because there were too many in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Skipped {
    /// How many.
    pub deliveries: u64,
}
