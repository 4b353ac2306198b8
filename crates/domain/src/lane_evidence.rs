//! What lanes, limits and webhooks learn of an outcome.

use crate::{Outcome, Transition, WebhookId};

/// The part of an outcome that lanes and limits look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneEvidence {
    /// Whose delivery it was.
    pub webhook: WebhookId,
    /// How its claim ended.
    pub transition: Transition,
    /// What its attempt came to, if one was made.
    pub outcome: Option<Outcome>,
    /// Refusals of the delivery so far, each after a success of its webhook.
    pub rejections: u32,
}
