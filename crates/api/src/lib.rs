//! The documents of the operations API and of the intake: what is sent and what is answered, once
//! for the server, the command line and the tests. Their schemas, and with them the OpenAPI
//! document, are made from these types.

mod audit;
pub mod broker;
mod brokers;
mod credentials;
mod deliveries;
mod doctor;
mod events;
mod freshness;
mod health;
mod incidents;
mod lanes;
mod page;
mod problem;
mod query;
mod secrets;
mod stats;
mod stream;
mod webhooks;
pub mod words;

pub use audit::{AuditEntry, AuditList, AuditQuery};
pub use brokers::{Broker, BrokerList};
pub use credentials::{
    Credential, CredentialList, CredentialUsers, CredentialWarning, FollowingValue, NotProbed,
    PendingSet, PendingValue, ProbeFindings, ProbeQuery, ProbeRequest, ProbedRepository,
    SecretProbe, SwitchRequest,
};
pub use deliveries::{
    Attempt, Delivery, DeliveryDetail, DeliveryFilter, DeliveryList, DiscardPlan, DiscardRequest,
    ReplayLane, ReplayPlan, ReplayRequest, RequestOrigin, Run,
};
pub use doctor::{DoctorHop, DoctorQuery, DoctorReport, OtherVerdict};
pub use events::{
    AcceptedDelivery, AcceptedEvent, AcceptedResult, CloudEvent, Consumer, Event, EventDetail,
    EventFilter, EventList, EventResult, EventSummary, MergedCalls, Provider, RelayedEvent,
    StoredEvent, UnwantedBy,
};
pub use freshness::{
    Basis, FailedVersion, FreshnessList, FreshnessQuery, HeldBackVersion, OwedResult, PairFreshness,
};
pub use health::{BrokerHealth, Health, Readiness, StoreHealth, Unhealthy};
pub use incidents::{Incident, IncidentList, IncidentQuery};
pub use lanes::{HeldWebhook, HoldLane, Lane, LaneList, LaneName, LaneState};
pub use page::{NextPage, Page, PageQuery, ShortPageQuery};
pub use problem::{FieldError, Problem};
pub use secrets::{
    GithubAppInfo, GithubAppSecret, SecretInfo, SecretKind, SecretList, SecretName, SecretSet,
    SecretValue,
};
pub use stats::{HourStats, LaneBacklog, Stats, StatsQuery};
pub use stream::{Skipped, StreamQuery};
pub use webhooks::{WebhookCheck, WebhookReleased};
