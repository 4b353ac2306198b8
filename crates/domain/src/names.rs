//! Tests of the words that rows, JSON, settings and metrics have for things. Whoever changes one
//! breaks what is stored and what others read.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use crate::doctor::{DoctorVerdict, Hop, HopState};
use crate::owed::{Due, PairState};
use crate::{
    AuditAction, AuditKind, CredentialKind, DeliveryStatus, EventName, EventSource, FreshnessState,
    HoldCause, IncidentKind, MergedBecause, Outcome, ProbeVerdict, RedispatchMode, RelayState,
    RepositoryAccess, Severity, StoredStatus, ThresholdFrom, WatchMode, WebhookState, WhichValue,
};

fn names<T>(all: impl IntoIterator<Item = T>, name: fn(T) -> &'static str, expected: &str) {
    let names: Vec<&str> = all.into_iter().map(name).collect();
    assert_eq!(names.join(" "), expected);
}

/// Each is read by its own name, and nothing else is.
fn read<T>(all: impl IntoIterator<Item = T>, name: fn(T) -> &'static str)
where
    T: FromStr + PartialEq + Debug + Copy,
{
    for one in all {
        assert_eq!(name(one).parse().ok(), Some(one));
        assert_eq!(format!("{}x", name(one)).parse::<T>().ok(), None);
        assert_eq!(name(one).to_uppercase().parse::<T>().ok(), None);
    }
}

/// Each is written by its own name.
fn written<T: Display + Copy>(all: impl IntoIterator<Item = T>, name: fn(T) -> &'static str) {
    for one in all {
        assert_eq!(one.to_string(), name(one));
    }
}

#[test]
fn of_deliveries() {
    names(
        DeliveryStatus::ALL,
        DeliveryStatus::as_str,
        "queued delivered retrying held failed discarded",
    );
    read(DeliveryStatus::ALL, DeliveryStatus::as_str);
    written(DeliveryStatus::ALL, DeliveryStatus::as_str);
    let stored = [
        StoredStatus::Waiting,
        StoredStatus::Sending,
        StoredStatus::Delivered,
        StoredStatus::Failed,
        StoredStatus::Discarded,
    ];
    names(stored, StoredStatus::as_str, "waiting sending delivered failed discarded");
    names(
        Outcome::ALL,
        Outcome::as_str,
        "accepted credential secret_missing secret_unusable rate_limited server_error timeout \
         connect_error unreadable not_found permission invalid redirected blocked render_error lost \
         poison webhook_deleted webhook_disabled withdrawn",
    );
    read(Outcome::ALL, Outcome::as_str);
    names(HoldCause::ALL, HoldCause::as_str, "credential secret_missing secret_unusable manual");
    let webhook = [WebhookState::Enabled, WebhookState::Disabled, WebhookState::Deleted];
    names(webhook, WebhookState::as_str, "enabled disabled deleted");
}

#[test]
fn of_events() {
    names(
        EventName::ALL,
        EventName::as_str,
        "contract_published contract_content_changed contract_requiring_verification_published \
         provider_verification_published provider_verification_succeeded \
         provider_verification_failed",
    );
    read(EventName::ALL, EventName::as_str);
    assert_eq!(EventName::Test.as_str(), "test");
    names(EventSource::ALL, EventSource::as_str, "api relay watch reconcile");
    read(EventSource::ALL, EventSource::as_str);
    names(
        MergedBecause::ALL,
        MergedBecause::as_str,
        "just_made one_publication relay_unknown broker_unasked",
    );
}

#[test]
fn of_verifications() {
    names(
        FreshnessState::ALL,
        FreshnessState::as_str,
        "failed stale unguarded silent unknown owing fresh",
    );
    read(FreshnessState::ALL, FreshnessState::as_str);
    names(ThresholdFrom::ALL, ThresholdFrom::as_str, "pair setting learned no_second_sign default");
    names(Due::ALL, Due::as_str, "published later");
    let pairs = [
        PairState::Failed,
        PairState::Stale,
        PairState::Unguarded,
        PairState::Owing,
        PairState::Fresh,
    ];
    names(pairs, PairState::as_str, "failed stale unguarded owing fresh");
    names(
        Hop::ALL,
        Hop::as_str,
        "published required received matched sent run verified deployable",
    );
    names(HopState::ALL, HopState::as_str, "ok broken waiting unknown");
    names(
        DoctorVerdict::ALL,
        DoctorVerdict::as_str,
        "all_well nothing_to_verify not_published provider_not_there event_not_received no_webhook \
         render_error secret_missing credential_dead held limited blocked permission_missing \
         target_missing payload_rejected target_down discarded in_progress no_run run_failed \
         run_without_result no_result verification_failed wrong_provider_version unknown",
    );
    read(DoctorVerdict::ALL, DoctorVerdict::as_str);
    names(WatchMode::ALL, WatchMode::as_str, "on observe off");
    read(WatchMode::ALL, WatchMode::as_str);
    written(WatchMode::ALL, WatchMode::as_str);
    names(RedispatchMode::ALL, RedispatchMode::as_str, "off dry-run on");
    read(RedispatchMode::ALL, RedispatchMode::as_str);
    written(RedispatchMode::ALL, RedispatchMode::as_str);
    names(RelayState::ALL, RelayState::as_str, "enabled disabled removed");
    read(RelayState::ALL, RelayState::as_str);
}

#[test]
fn of_credentials() {
    names(CredentialKind::ALL, CredentialKind::as_str, "token github_app other");
    names(WhichValue::ALL, WhichValue::as_str, "current pending previous");
    read(WhichValue::ALL, WhichValue::as_str);
    names(
        ProbeVerdict::ALL,
        ProbeVerdict::as_str,
        "ok insufficient refused limited unknown nothing",
    );
    read(ProbeVerdict::ALL, ProbeVerdict::as_str);
    names(
        RepositoryAccess::ALL,
        RepositoryAccess::as_str,
        "writable read_only not_visible moved archived refused forbidden limited unknown",
    );
}

#[test]
fn of_what_is_told() {
    names(
        IncidentKind::ALL,
        IncidentKind::as_str,
        "sustained_failures lane_held lane_late webhook_held poison verification_stale \
         verification_silent broker_unreachable fact_unreadable pairs_full local_trouble \
         credential_expiring first_contact holds_back owed_after_failure redispatch_gave_up \
         relay_gone relay_refused",
    );
    read(IncidentKind::ALL, IncidentKind::as_str);
    names(Severity::ALL, Severity::as_str, "critical warning");
    names(AuditKind::ALL, AuditKind::as_str, "webhook secret lane limit incident delivery");
    read(AuditKind::ALL, AuditKind::as_str);
    names(
        AuditAction::ALL,
        AuditAction::as_str,
        "created changed deleted tested held released acknowledged replayed discarded resumed \
         prepared dropped switched probed",
    );
    read(AuditAction::ALL, AuditAction::as_str);
}
