//! A debt that is late by the times of its provider alone may be a slow run. That its run failed, or
//! that none started, is the second sign; a worker asks GitHub for it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postrider_domain::doctor::{Known, RunFinding};
use postrider_domain::{
    DeliveryStatus, FreshnessRules, Learned, PairKey, ThresholdFrom, Verdict, age,
};
use postrider_store::{
    DeliveryFilter, MonitorLease, PairRow, RunAnswer, Store, StoreError, ToldDebt,
};

/// Pairs that one round asks about, debts of one pair, deliveries of one debt.
const PAIRS: usize = 20;
const DEBTS: usize = 3;
const DELIVERIES: u32 = 3;
/// Pairs that are kept in mind in one round.
pub(crate) const MOST: usize = 1_000;
/// An answer counts for so many rounds: a run is asked for within the budget of what is sent.
const FRESH_FOR: u32 = 20;
/// A run that has not begun so long after its dispatch does not exist.
const BEGINS_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// A pair that owes for longer than its provider takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    key: PairKey,
    /// Consumer and provider versions of the debts that are so old.
    debts: Vec<(String, String)>,
    /// A run of it was known to have failed.
    was_failed: bool,
}

impl Doubt {
    /// `None` where another sign decides, or nothing is late.
    pub(crate) fn of(
        row: &PairRow,
        verdict: &Verdict,
        rules: &FreshnessRules,
        now: Timestamp,
    ) -> Option<Self> {
        let Learned { threshold: Some(threshold), has_failed_run, .. } = row.facts.learned? else {
            return None;
        };
        if verdict.from != ThresholdFrom::NoSecondSign && !has_failed_run {
            return None;
        }
        let says = row.facts.says.as_ref().filter(|says| says.trouble.is_none())?;
        let late = says.owes.iter().filter(|debt| age(&rules.quiet, debt.since, now) > threshold);
        let debts = late.map(|debt| (debt.consumer_version.clone(), debt.provider_version.clone()));
        Some(Self { key: row.key.clone(), debts: debts.collect(), was_failed: has_failed_run })
    }

    fn is_of(&self, debt: &ToldDebt) -> bool {
        let versions = (&debt.consumer_version, &debt.provider_version);
        self.debts.iter().any(|(consumer, provider)| (consumer, provider) == versions)
    }
}

/// A delivery that was taken, and how the question about its run stands.
struct Asked {
    answer: RunAnswer,
    taken_at: Timestamp,
}

/// Asks about some of them, and notes what is known by now. Rounds come so often.
pub(crate) async fn look(
    store: &Store,
    lease: MonitorLease,
    doubts: &[Doubt],
    every: Duration,
) -> Result<(), StoreError> {
    let fresh = every.saturating_mul(FRESH_FOR);
    // Each has its turn in the end.
    let skipped = rand::random_range(0..doubts.len().saturating_sub(PAIRS).max(1));
    let mut changed = Vec::new();
    for doubt in doubts.iter().skip(skipped).take(PAIRS) {
        let asked = ask(store, doubt, fresh).await?;
        let has_failed = has_failed(&asked, doubt.was_failed, Timestamp::now());
        let is_failed = !doubt.debts.is_empty() && has_failed;
        if is_failed != doubt.was_failed {
            changed.push((doubt.key.clone(), is_failed));
        }
    }
    if !changed.is_empty() {
        store.save_failed_runs(lease, &changed).await?;
    }
    Ok(())
}

/// Asks about the runs of its late debts.
async fn ask(store: &Store, doubt: &Doubt, fresh: Duration) -> Result<Vec<Asked>, StoreError> {
    let told = store.told_debts_of(&doubt.key).await?;
    let mut asked = Vec::new();
    for debt in told.iter().filter(|debt| doubt.is_of(debt)).take(DEBTS) {
        // What dispatched it last.
        let filter = DeliveryFilter {
            event_id: Some(debt.newest()),
            status: Some(DeliveryStatus::Delivered),
            ..DeliveryFilter::default()
        };
        for row in store.deliveries(&filter, None, DELIVERIES).await?.deliveries {
            store.ask_run(row.id, fresh).await?;
            let answer = store.run_answer(row.id).await?;
            asked.push(Asked { answer, taken_at: row.updated_at });
        }
    }
    Ok(asked)
}

/// Whether a run is known to have failed or not to exist. What nobody knows now stays as it was.
fn has_failed(asked: &[Asked], was: bool, now: Timestamp) -> bool {
    let mut is_open = asked.is_empty();
    for Asked { answer, taken_at } in asked {
        match answer {
            RunAnswer::Is(Known::Is(RunFinding::Failed { .. })) => return true,
            RunAnswer::Is(Known::Is(RunFinding::None { .. }))
                if now.duration_since(*taken_at) >= BEGINS_WITHIN =>
            {
                return true;
            }
            RunAnswer::Is(Known::Is(
                RunFinding::Running { .. } | RunFinding::Succeeded { .. } | RunFinding::None { .. },
            )) => {}
            RunAnswer::Is(
                Known::Is(RunFinding::Unnamed { .. } | RunFinding::NotAsked) | Known::Unknown(_),
            )
            | RunAnswer::NotAsked
            | RunAnswer::Waiting => is_open = true,
        }
    }
    is_open && was
}

#[cfg(test)]
mod tests {
    use postrider_domain::doctor::NoRun;

    use super::*;

    #[test]
    fn a_run_that_failed_or_does_not_exist_is_a_sign() {
        let is = |finding| RunAnswer::Is(Known::Is(finding));
        let url = String::new;
        let failed = || is(RunFinding::Failed { url: url(), conclusion: "failure".to_owned() });
        let none = || is(RunFinding::None { reason: NoRun::Disabled });
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let runs = || is(RunFinding::Running { url: url() });
        let unreadable = || RunAnswer::Is(Known::Unknown("403".to_owned()));
        for (answers, was, expected) in [
            (vec![failed()], false, true),
            (vec![none()], false, true),
            (vec![runs(), failed()], false, true),
            (vec![runs()], true, false),
            (vec![is(RunFinding::Succeeded { url: url() })], true, false),
            // Nobody knows at this moment.
            (vec![RunAnswer::Waiting], true, true),
            (vec![RunAnswer::Waiting], false, false),
            (vec![unreadable()], false, false),
            (vec![unreadable()], true, true),
            (Vec::new(), false, false),
        ] {
            let taken_at = now - BEGINS_WITHIN;
            let asked = answers.clone().into_iter().map(|answer| Asked { answer, taken_at });
            let asked: Vec<Asked> = asked.collect();
            assert_eq!(has_failed(&asked, was, now), expected, "{answers:?} {was}");
        }
        let young = Asked { answer: none(), taken_at: now - SignedDuration::from_mins(14) };
        assert!(!has_failed(&[young], false, now), "its run may begin yet");
    }
}
