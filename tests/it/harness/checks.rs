//! What holds whatever crashed: everything accepted is delivered, and only what was in flight
//! may have arrived twice, marked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postrider_github_double::Double;
use serde_json::Value;

use super::SOON;
use super::api::Api;
use super::load::Accepted;
use super::wait::{Looking, wait_until};

/// Figures of a run that came to rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// Deliveries, all of them delivered.
    pub(crate) deliveries: usize,
    /// Requests that the double accepted beyond the first of each delivery.
    pub(crate) duplicates: usize,
    /// Deliveries with an attempt marked as a possible duplicate.
    pub(crate) marked: usize,
}

/// Waits until nothing is open, then compares API, journal and what was accepted.
///
/// # Errors
/// It did not come to rest within `cap`, or anything was lost, invented or doubled unmarked.
pub(crate) async fn settled(
    api: &Api,
    double: &Double,
    accepted: &[Accepted],
    cap: Duration,
) -> Result<Settled> {
    wait_until("all deliveries to be final", cap, async || match api.unfinished().await {
        Ok(None) => Ok(Looking::Found(())),
        Ok(Some(open)) => Ok(Looking::NotYet(open)),
        Err(error) => Ok(Looking::NotYet(format!("{error:#}"))),
    })
    .await?;
    let wanted: BTreeSet<String> =
        accepted.iter().flat_map(|event| event.deliveries.iter().cloned()).collect();
    ensure!(wanted.len() == accepted.len(), "each event makes one delivery of its own");
    all_delivered(api, &wanted).await?;
    let arrived = arrivals(double)?;
    let missing: Vec<_> = wanted.iter().filter(|id| !arrived.contains_key(*id)).collect();
    ensure!(missing.is_empty(), "{} lost, e.g. {:?}", missing.len(), missing.first());
    let strange = arrived.keys().find(|id| !wanted.contains(*id));
    ensure!(strange.is_none(), "arrived without having been accepted: {strange:?}");
    let shown = api.each_delivery(wanted.iter().cloned().collect()).await?;
    let marked = marks(&shown)?;
    let mut duplicates = 0;
    for (id, count) in arrived.iter().filter(|(_, count)| **count > 1) {
        let marks = marked.get(id).copied().unwrap_or_default();
        ensure!(marks + 1 >= *count, "{id} arrived {count} times, {marks} attempts are marked");
        duplicates += count - 1;
    }
    Ok(Settled { deliveries: wanted.len(), duplicates, marked: marked.len() })
}

/// The API lists exactly what was accepted, each delivered.
async fn all_delivered(api: &Api, wanted: &BTreeSet<String>) -> Result<()> {
    let listed = api.deliveries("").await?;
    let ids: BTreeSet<String> =
        listed.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect();
    ensure!(ids.len() == listed.len(), "the list names a delivery twice");
    let unlisted = wanted.difference(&ids).next();
    ensure!(unlisted.is_none(), "accepted but not listed: {unlisted:?}");
    let invented = ids.difference(wanted).next();
    ensure!(invented.is_none(), "listed but never accepted: {invented:?}");
    let open = listed.iter().find(|row| row["status"] != "delivered");
    ensure!(open.is_none(), "not delivered: {open:?}");
    Ok(())
}

/// How often each delivery was accepted at the double.
fn arrivals(double: &Double) -> Result<BTreeMap<String, usize>> {
    let counts = double.counts();
    ensure!(counts.forgotten == 0 && counts.without_id == 0, "the journal is whole: {counts:?}");
    let mut arrived = BTreeMap::new();
    for entry in double.accepted() {
        let id = entry.delivery_id.context("a delivery id in the journal")?;
        *arrived.entry(id).or_default() += 1;
    }
    Ok(arrived)
}

/// Marked attempts by delivery.
fn marks(shown: &[Value]) -> Result<BTreeMap<String, usize>> {
    let mut marked = BTreeMap::new();
    for delivery in shown {
        let attempts = delivery["attempts"].as_array().context("attempts")?;
        let marks = attempts.iter().filter(|one| one["possible_duplicate"] == true).count();
        if marks > 0 {
            marked.insert(delivery["id"].as_str().context("id")?.to_owned(), marks);
        }
    }
    Ok(marked)
}

/// From the answer to the sender until the first arrival at the double, shortest first. `began` is
/// when the double did.
///
/// # Errors
/// One did not arrive.
pub(crate) fn waits(
    accepted: &[Accepted],
    double: &Double,
    began: Instant,
) -> Result<Vec<Duration>> {
    let mut arrived: BTreeMap<String, Duration> = BTreeMap::new();
    for entry in double.accepted() {
        let id = entry.delivery_id.context("a delivery id")?;
        let first = arrived.entry(id).or_insert(entry.at);
        *first = (*first).min(entry.at);
    }
    let wait = |event: &Accepted| {
        let at = arrived.get(&event.deliveries[0]).context("an arrival")?;
        Ok(at.saturating_sub(event.at.saturating_duration_since(began)))
    };
    let mut waits = accepted.iter().map(wait).collect::<Result<Vec<_>>>()?;
    waits.sort_unstable();
    Ok(waits)
}

/// Waits until so many requests were accepted, `cap` at most, and nothing is open; no more were.
///
/// # Errors
/// It did not come to that.
pub(crate) async fn dispatched(
    api: &Api,
    double: &Double,
    count: u64,
    cap: Duration,
) -> Result<()> {
    double.wait_for(count, cap).await?;
    wait_until("all deliveries to be final", SOON, async || {
        let open = api.unfinished().await?;
        Ok(Looking::when(open.is_none(), || open.unwrap_or_default()))
    })
    .await?;
    let counts = double.counts();
    ensure!(counts.accepted == count, "{count} dispatches are right: {counts:?}");
    Ok(())
}
