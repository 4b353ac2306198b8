//! Lists, counts and figures.

use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use postrider_domain::{DeliveryStatus, EventName};
use postrider_store::{DeliveryFilter, DeliveryScope, PairFilter, Store};

use super::{Figures, TIMES, median, millis, timed};
use crate::rounds::tell;

/// Deliveries of a page.
const PAGE: u32 = 50;

/// Every list with every filter, and the figures that people ask for.
pub(super) async fn measure(store: &Store, day: Timestamp) -> Result<String> {
    let mut figures = Figures::new("list of 50; count");
    for (name, filter) in filters(store, day).await? {
        let (mut page, mut count, mut found) = (Vec::new(), Vec::new(), 0);
        for _ in 0..TIMES {
            let began = Instant::now();
            found = store.deliveries(&filter, None, PAGE).await?.deliveries.len();
            page.push(began.elapsed());
            let began = Instant::now();
            store.count_deliveries(&filter).await?;
            count.push(began.elapsed());
        }
        let (page, count) = (median(page), median(count));
        tell(&format!("{name}: {}, {}", millis(page), millis(count)));
        figures.line(
            &format!("{name} ({found} rows)"),
            &format!("{}; {}", millis(page), millis(count)),
        )?;
    }
    others(store, &mut figures).await?;
    Ok(figures.text())
}

async fn others(store: &Store, figures: &mut Figures) -> Result<()> {
    figures.took("lanes", timed(async || store.lanes().await.map(drop)).await?)?;
    figures.took("stats", timed(async || store.stats().await.map(drop)).await?)?;
    figures.took("streaks", timed(async || store.streaks().await.map(drop)).await?)?;
    figures.took("held lanes", timed(async || store.held_lanes().await.map(drop)).await?)?;
    figures.took("poisoned", timed(async || store.poisoned().await.map(drop)).await?)?;
    let began = Instant::now();
    let (mut after, mut slowest) = (None, Duration::ZERO);
    loop {
        let asked = Instant::now();
        let page = store.pairs(&PairFilter::default(), after.as_ref(), 2_000).await?;
        slowest = slowest.max(asked.elapsed());
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
    }
    figures.took("all pairs, in pages", began.elapsed())?;
    figures.took("of these the slowest page", slowest)
}

fn any() -> DeliveryFilter {
    DeliveryFilter::default()
}

/// Every filter there is, rare and common, and combinations for which there is no index.
async fn filters(store: &Store, day: Timestamp) -> Result<Vec<(String, DeliveryFilter)>> {
    let text = |text: &str| Some(text.to_owned());
    let at = |hours| day.checked_add(SignedDuration::from_hours(hours)).ok();
    let some = store.deliveries(&any(), None, 1).await?.deliveries;
    let first = some.first();
    let event_id = first.map(|row| row.event_id);
    let (consumer, provider) = (text("consumer-7"), text("provider-71"));
    let named = [
        ("all", any()),
        ("webhook", DeliveryFilter { webhook: "growth-webhook-7".parse().ok(), ..any() }),
        (
            "webhook that is not there",
            DeliveryFilter { webhook: "growth-webhook-nobody".parse().ok(), ..any() },
        ),
        ("lane", DeliveryFilter { lane: text("growth-limited8.example/t"), ..any() }),
        ("lane that is not there", DeliveryFilter { lane: text("nobody"), ..any() }),
        ("consumer", DeliveryFilter { consumer: consumer.clone(), ..any() }),
        ("consumer that is not there", DeliveryFilter { consumer: text("nobody"), ..any() }),
        ("provider", DeliveryFilter { provider: text("provider-7"), ..any() }),
        ("provider that is not there", DeliveryFilter { provider: text("nobody"), ..any() }),
        (
            "consumer and provider",
            DeliveryFilter { consumer: consumer.clone(), provider: provider.clone(), ..any() },
        ),
        (
            "broker, consumer and provider",
            DeliveryFilter { broker: text("default"), consumer, provider, ..any() },
        ),
        ("broker", DeliveryFilter { broker: text("default"), ..any() }),
        ("broker that is not there", DeliveryFilter { broker: text("nobody"), ..any() }),
        ("event", DeliveryFilter { event: Some(EventName::ContractPublished), ..any() }),
        (
            "event that never was",
            DeliveryFilter { event: Some(EventName::ProviderVerificationFailed), ..any() },
        ),
        ("event id", DeliveryFilter { event_id, ..any() }),
        ("id", DeliveryFilter { ids: first.map(|row| vec![row.id]), ..any() }),
        ("until noon of the day", DeliveryFilter { until: at(12), ..any() }),
        ("an hour of the day", DeliveryFilter { since: at(11), until: at(12), ..any() }),
        ("until long ago", DeliveryFilter { until: at(-24), ..any() }),
        ("open", DeliveryFilter { scope: Some(DeliveryScope::Open), ..any() }),
        ("failing", DeliveryFilter { scope: Some(DeliveryScope::Failing), ..any() }),
    ];
    let mut filters: Vec<_> = named
        .into_iter()
        .chain(combined())
        .map(|(name, filter)| (name.to_owned(), filter))
        .collect();
    for status in DeliveryStatus::ALL {
        let filter = DeliveryFilter { status: Some(status), ..any() };
        filters.push((status.as_str().to_owned(), filter));
    }
    Ok(filters)
}

/// Several at once.
fn combined() -> [(&'static str, DeliveryFilter); 3] {
    let webhook = || "growth-webhook-7".parse().ok();
    [
        (
            "failed of a webhook",
            DeliveryFilter { status: Some(DeliveryStatus::Failed), webhook: webhook(), ..any() },
        ),
        (
            "failed of an event that never was",
            DeliveryFilter {
                status: Some(DeliveryStatus::Failed),
                event: Some(EventName::ProviderVerificationFailed),
                ..any()
            },
        ),
        (
            "held of a webhook",
            DeliveryFilter { status: Some(DeliveryStatus::Held), webhook: webhook(), ..any() },
        ),
    ]
}
