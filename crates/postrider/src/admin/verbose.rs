//! `/readyz?verbose`: readiness with what it was judged by, for people.
//!
//! The verdict is the one of `/readyz`; what stands beside it is read anew for each call and
//! decides nothing.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::Uri;
use postrider_api::{BrokerHealth, Readiness, StoreHealth};
use postrider_http_server::openapi::Operation;
use postrider_http_server::query;
use postrider_store::{BrokerRead, Store, StoreError};
use postrider_telemetry::Metrics;
use tokio::time::{Instant, timeout};

use super::health::{Health, PING_WITHIN};
use crate::version::{REVISION, VERSION};

const VERBOSE: &str = "verbose";
/// Figures that take longer are left out.
const FIGURES_WITHIN: Duration = Duration::from_secs(3);

/// Whether a caller wants more than the verdict: `?verbose`, whatever its value but `false`.
pub(super) fn is_asked(uri: &Uri) -> bool {
    let named = |pair| matches!(pair, Ok((name, value)) if name == VERBOSE && value != "false");
    uri.query().is_some_and(|query| query::pairs(query).any(named))
}

/// What the process stands on.
pub(super) async fn readiness(
    health: &Health,
    metrics: &Metrics,
    unready: Option<Cow<'static, str>>,
) -> Readiness {
    let store = store_health(&health.store).await;
    let (brokers, stats) = if store.answers {
        tokio::join!(told(health.store.broker_reads()), told(health.store.stats()))
    } else {
        (None, None)
    };
    let links = metrics.queue_links().into_iter();
    Readiness {
        status: if unready.is_none() { "ok" } else { "unavailable" }.to_owned(),
        reason: unready.map(Cow::into_owned),
        role: health.role.as_str().to_owned(),
        version: VERSION.to_owned(),
        revision: REVISION.to_owned(),
        store,
        queue: links.map(|(link, is_up)| (link.as_str().to_owned(), is_up)).collect(),
        brokers: brokers.map(|all| all.into_iter().map(broker).collect()),
        oldest_pending_ms: stats.map(|stats| millis(stats.oldest_pending.unwrap_or_default())),
    }
}

async fn store_health(store: &Store) -> StoreHealth {
    let begun = Instant::now();
    let answers = matches!(timeout(PING_WITHIN, store.ping()).await, Ok(Ok(())));
    let answered_in_ms = answers.then(|| millis(begun.elapsed()));
    StoreHealth { kind: store.kind().to_owned(), answers, answered_in_ms }
}

async fn told<T>(read: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    timeout(FIGURES_WITHIN, read).await.ok()?.ok()
}

fn broker(read: BrokerRead) -> BrokerHealth {
    let failing = read.failing;
    BrokerHealth {
        name: read.broker,
        answered_at: read.answered_at,
        failing_since: failing.as_ref().map(|(since, ..)| *since),
        cause: failing.map(|(_, trouble, _)| trouble.as_str().to_owned()),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What the OpenAPI document says of it.
pub(super) fn described(operation: Operation) -> Operation {
    operation.knows::<Readiness>().query_text(
        VERBOSE,
        "Given, with any value but `false`: the answer is a `Readiness`, with role, version, store, \
         queue, brokers and the age of the oldest delivery that waits.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_is_asked_by_its_name() {
        for (uri, asked) in [
            ("/readyz", false),
            ("/readyz?verbose", true),
            ("/readyz?verbose=1", true),
            ("/readyz?x=1&verbose=", true),
            ("/readyz?verbose=false", false),
            ("/readyz?verbosely", false),
        ] {
            assert_eq!(is_asked(&uri.parse().unwrap()), asked, "{uri}");
        }
    }
}
