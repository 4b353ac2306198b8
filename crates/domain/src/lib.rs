//! The decisions of postrider: events, webhooks, matching, lanes, retry, classification.
//!
//! Everything here is a pure function over values: no I/O, no clock, no randomness, no async.
//! `now` and chance are arguments, so every decision can be tested as a table.

mod address;
mod classify;
mod delivery;
mod duration;
mod event;
mod freshness;
mod host_whitelist;
mod ids;
mod lane;
mod lane_rules;
mod matching;
pub mod near;
mod outcome;
mod placeholder;
mod quiet;
mod rate;
mod retry;
mod target;
mod webhook;

pub use address::{AddressPolicy, BlockedAddress};
pub use classify::{Answer, Classified, GithubAnswer, TokenForbidden, classify};
pub use delivery::{DeliveryStatus, StoredStatus};
pub use duration::{InvalidDuration, parse_duration, print_duration};
pub use event::{Event, EventName, Pacticipant, UnknownEventName};
pub use freshness::{
    BrokerReach, FreshnessRules, FreshnessState, InvalidPairKey, PairFacts, PairKey, PairRule,
    UnknownFreshnessState, Verdict, Verified, age, judge,
};
pub use host_whitelist::{HostWhitelist, InvalidHostEntry};
pub use ids::{ClaimNo, DeliveryId, EventId, InvalidWebhookUuid, LaneId, WebhookId, WebhookUuid};
pub use lane::{HoldCause, LaneLimits, LaneState};
pub use lane_rules::{LaneError, LaneRule, LaneRules, is_credential_header};
pub use matching::wants;
pub use outcome::{Outcome, UnknownOutcome};
pub use quiet::{InvalidDay, QuietDays, parse_days};
pub use rate::{InvalidRate, Rate};
pub use retry::{Decision, RetryPolicy, decide};
pub use target::{HostPatterns, InvalidHostPattern, TargetKind};
pub use webhook::{Body, BodyMode, RequestTemplate, Selector, Webhook, WebhookState};
