//! A delivery as any store tells it.

use postrider_domain::{DeliveryStatus, Outcome};
use postrider_store::DeliveryView;

/// A delivery without instants, which no two stores have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The state that is shown.
    pub status: DeliveryStatus,
    /// Attempts that were recorded.
    pub attempts: u32,
    /// What the last attempt came to.
    pub last_outcome: Option<Outcome>,
    /// Its HTTP status.
    pub last_status_code: Option<u16>,
    /// Name of its lane.
    pub lane: String,
    /// Its attempts, oldest first: place in the schedule, outcome, possible duplicate.
    pub made: Vec<(u32, Outcome, bool)>,
}

impl From<DeliveryView> for Seen {
    fn from(view: DeliveryView) -> Self {
        let made = |attempt: &postrider_store::AttemptRow| {
            (attempt.number, attempt.outcome, attempt.possible_duplicate)
        };
        Self {
            status: view.row.status,
            attempts: view.row.attempts,
            last_outcome: view.row.last_outcome,
            last_status_code: view.row.last_status_code,
            lane: view.row.lane.clone(),
            made: view.attempts.iter().map(made).collect(),
        }
    }
}
