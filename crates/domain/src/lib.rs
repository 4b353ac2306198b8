//! The decisions of postrider: events, webhooks, matching, lanes, retry, classification.
//!
//! Everything here is a pure function over values: no I/O, no clock, no randomness, no async.
//! `now` and chance are arguments, so every decision can be tested as a table.

mod address;
mod audit;
mod classify;
mod counted;
mod credential;
mod delivery;
pub mod doctor;
mod duration;
mod event;
mod example;
mod extensions;
mod freshness;
mod github_app;
mod host_whitelist;
mod hour;
mod ids;
mod incident;
mod lane;
mod lane_evidence;
mod lane_policy;
mod lane_rules;
mod matching;
#[cfg(test)]
mod names;
mod next_row;
mod outcome;
pub mod owed;
mod park_policy;
mod placeholder;
mod quiet;
mod rate;
mod readable;
mod rejection;
mod relay;
mod repository_access;
mod retry;
mod secret_value;
mod stars;
mod streak;
pub mod suggestions;
mod target;
mod transition;
mod transport_header;
mod watch;
mod webhook;

pub use address::{AddressPolicy, BlockedAddress, is_loopback};
pub use audit::{AuditAction, AuditKind, UnknownAuditWord};
pub use classify::{Answer, Classified, GithubAnswer, TokenForbidden, by_own_rule, classify};
pub use counted::counted;
pub use credential::{
    CredentialFacts, CredentialKind, CredentialWarning, ProbeVerdict, UnknownCredentialWord,
    WhichValue, credential_expiry, credential_warnings, suggested_token_name,
};
pub use delivery::{DeliveryStatus, StoredStatus};
pub use duration::{InvalidDuration, parse_duration, print_duration};
pub use event::{
    Event, EventName, EventSource, MergedBecause, Pacticipant, UnknownEventName,
    UnknownEventSource, content_of, told_of_content,
};
pub use example::{example_body, example_webhook};
pub use extensions::{
    ExtensionFault, Extensions, FailedRule, KeptOut, Pattern, Signing, SuccessRule, When, WhenKey,
};
pub use freshness::{
    BrokerReach, BrokerSays, FreshnessRules, FreshnessState, InvalidPairKey, Learned, PairFacts,
    PairKey, PairRule, ResultTimes, SaidDebt, SaidFailure, SaidHold, Silence, ThresholdFrom,
    UnknownFreshnessState, Verdict, Verified, judge,
};
pub use github_app::{AppTargets, GithubApp, InvalidGithubApp};
pub use host_whitelist::{HostWhitelist, InvalidHostEntry};
pub use hour::{HourBudget, MinuteCount, hour_budget};
pub use ids::{
    ClaimNo, DeliveryId, EventId, InvalidWebhookUuid, LaneId, LimitId, WebhookId, WebhookUuid,
};
pub use incident::{IncidentKind, Severity, UnknownIncidentKind};
pub use lane::{HoldCause, LaneLimits, LaneState};
pub use lane_evidence::LaneEvidence;
pub use lane_policy::{
    FIRST_PAUSE, FIRST_SHORT_PAUSE, Hold, LONGEST_PAUSE, LanePolicy, LimitPolicy,
};
pub use lane_rules::{
    LaneError, LanePlace, LaneRule, LaneRules, has_credential_parameter, is_credential_header,
    is_secret_header,
};
pub use matching::{Unwanted, distance, unwanted, wants};
pub use next_row::{
    Due, LOST_WAIT, LastOutcome, MAX_LOST_CLAIMS, MAX_REJECTIONS, NextRow, Rejection, RowFacts,
    after_discard, after_lost_claim, after_outcome,
};
pub use outcome::{Outcome, UnknownOutcome};
pub use park_policy::{LONGEST_PROBE_WAIT, ParkPolicy, probe_wait};
pub use quiet::{InvalidDay, QuietDays, age, parse_days};
pub use rate::{InvalidRate, Rate};
pub use readable::without_bidirectional_controls;
pub use relay::{RelayState, UnknownRelayState, relay_state};
pub use repository_access::{RepositoryAccess, probe_verdict};
pub use retry::{Decision, RetryPolicy, decide};
pub use secret_value::{InvalidSecret, secret_value, secret_warnings};
pub use stars::{SECRET_STARS, STARS, has_stars, is_all_stars, is_starred_or_empty};
pub use streak::StreakNews;
pub use target::{HostPatterns, InvalidHostPattern, Target, TargetKind};
pub use transition::{Refusal, Transition};
pub use transport_header::is_transport_header;
pub use watch::{RedispatchMode, UnknownRedispatchMode, UnknownWatchMode, WatchMode};
pub use webhook::{Body, BodyMode, RequestTemplate, Selector, Webhook, WebhookState};
