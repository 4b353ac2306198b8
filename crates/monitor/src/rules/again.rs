//! Verifications that stay owed after their dispatch.

use std::collections::{BTreeMap, BTreeSet};

use postrider_domain::owed::{AGAIN_MOST, Again, Dispatched, again};
use postrider_domain::{FreshnessRules, RedispatchMode, WebhookUuid, age};
use postrider_store::{EventFate, IncidentFinding, IncidentKind, Severity, ToldDebt};

use crate::debts::DebtFact;
use crate::words::quoted;

/// The incidents of webhooks whose deliveries failed for good, and whose verifications are still
/// owed: one for each webhook, but for those that are `explained` by another incident.
pub(super) fn failed(
    debts: &[DebtFact],
    explained: impl Fn(&WebhookUuid) -> bool,
) -> Vec<IncidentFinding> {
    let mut webhooks: BTreeMap<&WebhookUuid, (u64, &ToldDebt)> = BTreeMap::new();
    for fact in debts {
        for webhook in failing(fact) {
            webhooks.entry(webhook).or_insert((0, &fact.debt)).0 += 1;
        }
    }
    let told = webhooks.into_iter().filter(|(webhook, _)| !explained(webhook));
    told.map(|(webhook, (debts, one))| owed_after_failure(webhook, debts, one)).collect()
}

/// Webhooks that failed to deliver what told of the debt, when that is known to be owed since. What
/// was taken at last waits for a result, and is late or not.
fn failing(fact: &DebtFact) -> BTreeSet<&WebhookUuid> {
    let newest = fact.again.as_ref().or(fact.first.as_ref());
    if newest.is_some_and(|fate| fate.delivered_at.is_some()) {
        return BTreeSet::new();
    }
    let fates = [&fact.first, &fact.again].into_iter().flatten();
    let failed = fates.flat_map(|fate| &fate.failed);
    failed.filter(|(_, at)| fact.debt.seen_at > *at).map(|(webhook, _)| webhook).collect()
}

fn owed_after_failure(webhook: &WebhookUuid, debts: u64, one: &ToldDebt) -> IncidentFinding {
    let (many, verb) = if debts == 1 { ("verification", "is") } else { ("verifications", "are") };
    IncidentFinding {
        kind: IncidentKind::OwedAfterFailure,
        subject: webhook.to_string(),
        cause: "failed",
        severity: Severity::Warning,
        summary: format!(
            "{debts} {many} {verb} owed that webhook {webhook} failed to deliver for good, e.g. {}",
            told(one)
        ),
        next: format!("postrider deliveries list --status failed --webhook {webhook}"),
    }
}

/// The incident of a debt that was dispatched again as often as it may be.
pub(super) fn given_up(
    mode: RedispatchMode,
    freshness: &FreshnessRules,
    fact: &DebtFact,
) -> Option<IncidentFinding> {
    let debt = &fact.debt;
    let dispatched = fact.again.as_ref().map_or(Dispatched::Unwanted, EventFate::dispatched);
    let ended = fact.again.as_ref().and_then(|fate| fate.ended_at);
    let waited = ended.map(|at| age(&freshness.quiet, at, debt.seen_at));
    let (patience, _) = freshness.threshold(&debt.key, debt.learned, waited);
    // It was owed still when it was last looked at: a result may have come since.
    let verdict = again(dispatched, debt.again, patience, &freshness.quiet, debt.seen_at);
    if mode != RedispatchMode::On || verdict != Again::GaveUp {
        return None;
    }
    let key = &debt.key;
    let critical = freshness.is_critical(key);
    Some(IncidentFinding {
        kind: IncidentKind::RedispatchGaveUp,
        subject: key.to_string(),
        cause: "no_result",
        severity: if critical { Severity::Critical } else { Severity::Warning },
        summary: format!(
            "{} was dispatched again {AGAIN_MOST} times, and no result came: it is not dispatched \
             once more by itself",
            told(debt)
        ),
        next: format!(
            "postrider doctor --consumer={} --version={} --provider={}",
            quoted(&key.consumer),
            quoted(&debt.consumer_version),
            quoted(&key.provider)
        ),
    })
}

fn told(debt: &ToldDebt) -> String {
    let ToldDebt { key, consumer_version, provider_version, .. } = debt;
    format!(
        "the contract of \"{}\" {consumer_version} with \"{}\" {provider_version} at broker \"{}\"",
        key.consumer, key.provider, key.broker
    )
}

#[cfg(test)]
mod tests;
