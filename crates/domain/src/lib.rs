//! The decisions of postrider: events, webhooks, matching, lanes, retry, classification.
//!
//! Everything here is a pure function over values: no I/O, no clock, no randomness, no async.
//! `now` and chance are arguments, so every decision can be tested as a table.

mod delivery;
mod event;
mod ids;
mod lane;
mod outcome;
mod webhook;

pub use delivery::{DeliveryStatus, StoredStatus};
pub use event::{Event, EventName, Pacticipant, UnknownEventName};
pub use ids::{ClaimNo, DeliveryId, EventId, InvalidWebhookUuid, LaneId, WebhookId, WebhookUuid};
pub use lane::{HoldCause, LaneLimits, LaneState, Rate};
pub use outcome::{Outcome, UnknownOutcome};
pub use webhook::{Body, BodyMode, RequestTemplate, Selector, Webhook, WebhookState};
