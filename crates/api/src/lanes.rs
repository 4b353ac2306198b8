//! Lanes.

use jiff::Timestamp;
use postrider_domain::{HoldCause, WebhookUuid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::page::list;
use crate::words;

/// Whether a lane's deliveries go out: `held` waits for a person or a credential, `paused` for a
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// They do.
    Open,
    /// They wait for a person or a credential.
    Held,
    /// They wait for a time.
    Paused,
}

impl LaneState {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Held => "held",
            Self::Paused => "paused",
        }
    }
}

/// What shares one fate: a host with a credential. It has a limit, its own or one that settings let
/// several lanes share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lane {
    /// `host[:port]/credential`.
    pub name: String,
    /// Name of its limit: the lane's own, or the one that settings join lanes under. Rate, burst,
    /// concurrency, hourly budget and pauses are the limit's.
    pub limit: String,
    /// Whether its deliveries go out.
    pub state: LaneState,
    /// Why it is held.
    #[schema(required, value_type = Option<words::HoldCause>)]
    pub cause: Option<HoldCause>,
    /// Since when it is held.
    #[schema(required)]
    pub since: Option<Timestamp>,
    /// What was said by whoever holds it by hand.
    #[schema(required)]
    pub reason: Option<String>,
    /// When a hold by hand ends by itself; null: when somebody releases it.
    #[schema(required)]
    pub until: Option<Timestamp>,
    /// Webhooks of the lane that are held by themselves, while the others go on.
    pub held_webhooks: Vec<HeldWebhook>,
    /// Deliveries per time, such as `75/min`, or `unlimited`.
    pub rate: String,
    /// Deliveries that may go at once.
    pub burst: u32,
    /// Requests under way at once.
    pub concurrency: u32,
    /// Deliveries per hour; null without that limit.
    #[schema(required)]
    pub per_hour: Option<u32>,
    /// Deliveries waiting.
    pub backlog: u64,
    /// No more than `backlog` wait; else the count came to its bound.
    pub backlog_is_exact: bool,
    /// When the oldest waiting delivery was accepted.
    #[schema(required)]
    pub oldest_at: Option<Timestamp>,
    /// Until when the target asked for a pause.
    #[schema(required)]
    pub paused_until: Option<Timestamp>,
    /// How long the limits make the backlog take; 0 without limits. Null while the lane is held or
    /// paused: nothing drains until then.
    #[schema(required)]
    pub drain_seconds: Option<u64>,
}

/// A webhook whose deliveries wait while its lane's other webhooks go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldWebhook {
    /// Which.
    #[schema(value_type = String)]
    pub webhook_uuid: WebhookUuid,
    /// Why.
    #[schema(value_type = words::HoldCause)]
    pub cause: HoldCause,
    /// Since when.
    pub since: Timestamp,
    /// Deliveries waiting for it, counted up to 10,000.
    pub backlog: u64,
    /// When one of them is tried next; null while a secret is waited for.
    #[schema(required)]
    pub next_probe_at: Option<Timestamp>,
}

list! {
    /// A page of lanes, by name.
    pub struct LaneList {
        /// The lanes.
        lanes: Lane,
        /// How many there are.
        total,
    }
}

/// Which lane is to be held, why and how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldLane {
    /// Name of the lane.
    pub lane: String,
    /// Why, for those who wonder; at most 500 characters on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// When it opens by itself, RFC 3339; without it: when somebody releases it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Which lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LaneName {
    /// Name of the lane.
    pub lane: String,
}
