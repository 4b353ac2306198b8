//! What a digest is made of, each part a bounded number of rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use postrider_domain::{
    DeliveryStatus, FreshnessState, Outcome, WebhookUuid, credential_expiry, judge,
};
use postrider_store::{
    DeliveryFilter, DeliveryRow, Incident, IncidentFilter, IncidentKind, PairFilter, Store,
    StoreError,
};

use super::{DigestFacts, WebhookFailures};
use crate::rules::{Rules, reach};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOURS: i64 = 24;
/// A delivery that fails today may be a day older.
const FAILED_BACK: SignedDuration = SignedDuration::from_hours(48);
/// Failed deliveries, and incidents, that are looked at.
const LOOKED_AT: u32 = 1_000;
/// Pairs read by one statement, and such statements.
const PAGE: u32 = 2_000;
const PAGES: u32 = 100;

/// The facts of the 24 hours before `now`.
pub(super) async fn read(
    store: &Store,
    rules: &Rules,
    now: Timestamp,
) -> Result<DigestFacts, StoreError> {
    let mut facts = DigestFacts::default();
    deliveries(store, now, &mut facts).await?;
    incidents(store, now, &mut facts).await?;
    pairs(store, rules, now, &mut facts).await?;
    let ends = store.credentials().await?.into_iter().filter_map(|credential| {
        let at = credential.expires_at?;
        credential_expiry(at, now)?;
        Some((credential.secret.name, at))
    });
    facts.expiring = ends.collect();
    facts.expiring.sort_by_key(|(_, at)| *at);
    Ok(facts)
}

fn ago(now: Timestamp, back: SignedDuration) -> Timestamp {
    now.saturating_sub(back).unwrap_or(Timestamp::UNIX_EPOCH)
}

async fn deliveries(
    store: &Store,
    now: Timestamp,
    facts: &mut DigestFacts,
) -> Result<(), StoreError> {
    let starts: Vec<Timestamp> =
        (1..=HOURS).map(|back| ago(now, SignedDuration::from_hours(back))).collect();
    let hours = store.hours(&starts).await?;
    let of = |status| hours.iter().map(|hour| hour.of(status)).sum::<u64>();
    facts.delivered = of(DeliveryStatus::Delivered);
    facts.failed = of(DeliveryStatus::Failed);
    facts.open =
        of(DeliveryStatus::Queued) + of(DeliveryStatus::Retrying) + of(DeliveryStatus::Held);
    facts.is_exact = hours.iter().all(|hour| hour.is_exact);
    Ok(())
}

/// What is open, and what failed without any of it.
async fn incidents(
    store: &Store,
    now: Timestamp,
    facts: &mut DigestFacts,
) -> Result<(), StoreError> {
    let of = |open_only| IncidentFilter { open_only, kind: None };
    let open = store.incidents(of(true), None, LOOKED_AT).await?.incidents;
    let newest = store.incidents(of(false), None, LOOKED_AT).await?.incidents;
    let counts = store.open_incidents().await?;
    facts.open_incidents = counts.iter().map(|(_, count)| count).sum();
    let recent = |one: &&Incident| one.resolved_at.is_none_or(|at| at >= ago(now, DAY));
    let told: BTreeSet<&str> =
        open.iter().chain(newest.iter().filter(recent)).filter_map(webhook_of).collect();
    let filter = DeliveryFilter {
        status: Some(DeliveryStatus::Failed),
        since: Some(ago(now, FAILED_BACK)),
        ..DeliveryFilter::default()
    };
    let failed = store.deliveries(&filter, None, LOOKED_AT).await?.deliveries;
    let is_single = |row: &DeliveryRow| {
        row.updated_at >= ago(now, DAY)
            && row.last_outcome != Some(Outcome::Poison)
            && !told.contains(row.webhook_uuid.as_str())
    };
    facts.failures = by_webhook(store, failed.into_iter().filter(is_single)).await?;
    facts.incidents = open;
    Ok(())
}

/// The webhook whose failures an incident tells of.
fn webhook_of(incident: &Incident) -> Option<&str> {
    let is_of_webhook = matches!(
        incident.kind,
        IncidentKind::SustainedFailures
            | IncidentKind::WebhookHeld
            | IncidentKind::OwedAfterFailure
    );
    is_of_webhook.then_some(incident.subject.as_str())
}

/// Most failures first. Rows come newest first.
async fn by_webhook(
    store: &Store,
    failed: impl Iterator<Item = DeliveryRow>,
) -> Result<Vec<WebhookFailures>, StoreError> {
    let mut counts: BTreeMap<WebhookUuid, (u64, Option<Outcome>)> = BTreeMap::new();
    for row in failed {
        counts.entry(row.webhook_uuid).or_insert((0, row.last_outcome)).0 += 1;
    }
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    let streaks = store.streaks().await?;
    let named = |(webhook, (count, outcome)): (WebhookUuid, _)| {
        let known = streaks.iter().find(|streak| streak.webhook == webhook);
        let description = known.map_or("a deleted webhook", |streak| &streak.description);
        WebhookFailures {
            description: description.to_owned(),
            webhook: webhook.to_string(),
            count,
            outcome,
        }
    };
    let mut failures: Vec<WebhookFailures> = counts.into_iter().map(named).collect();
    failures.sort_by_key(|one| Reverse(one.count));
    Ok(failures)
}

async fn pairs(
    store: &Store,
    rules: &Rules,
    now: Timestamp,
    facts: &mut DigestFacts,
) -> Result<(), StoreError> {
    let brokers = store.broker_reads().await?;
    let mut after = None;
    for _ in 0..PAGES {
        let page = store.pairs(&PairFilter::default(), after.as_ref(), PAGE).await?;
        for row in &page {
            let reach = reach(&brokers, &row.key.broker, rules, now);
            let state = judge(&rules.freshness, &row.key, &row.facts, reach, now).state;
            match state {
                FreshnessState::Owing => facts.owing += 1,
                FreshnessState::Failed
                | FreshnessState::Stale
                | FreshnessState::Unguarded
                | FreshnessState::Silent => {
                    facts.bad_pairs.push((row.key.clone(), state.as_str()));
                }
                FreshnessState::Unknown | FreshnessState::Fresh => {}
            }
        }
        match page.last() {
            Some(last) if page.len() >= PAGE as usize => after = Some(last.key.clone()),
            Some(_) | None => break,
        }
    }
    Ok(())
}
