//! What became of dispatches at GitHub. A worker asks; this waits a while for it.

use std::time::Duration;

use postrider_domain::doctor::{DeliveryFacts, EventFacts, Known};
use postrider_domain::{DeliveryId, DeliveryStatus};
use postrider_store::{RunAnswer, Store, StoreError};
use tokio::time::Instant;

/// Dispatches that one call asks about, the newest.
const MOST: usize = 3;
/// How long a worker may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How often its answer is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// An answer of this age is as good as a new one.
const FRESH: Duration = Duration::from_secs(10);

/// Adds what is known of the runs that delivered dispatches started.
pub(super) async fn ask(store: &Store, events: &mut [EventFacts]) -> Result<(), StoreError> {
    let is_asked = |delivery: &&mut DeliveryFacts| {
        delivery.is_dispatch && delivery.status == DeliveryStatus::Delivered
    };
    let deliveries = events.iter_mut().flat_map(|event| event.deliveries.iter_mut());
    let mut asked: Vec<&mut DeliveryFacts> = deliveries.filter(is_asked).take(MOST).collect();
    for delivery in &asked {
        store.ask_run(delivery.id, FRESH).await?;
    }
    let until = Instant::now() + WITHIN;
    for delivery in &mut asked {
        delivery.run = answer(store, delivery.id, until).await?;
    }
    Ok(())
}

async fn answer(
    store: &Store,
    delivery: DeliveryId,
    until: Instant,
) -> Result<Known<postrider_domain::doctor::RunFinding>, StoreError> {
    loop {
        match store.run_answer(delivery).await? {
            RunAnswer::Is(found) => return Ok(found),
            RunAnswer::NotAsked | RunAnswer::Waiting => {}
        }
        if Instant::now() >= until {
            return Ok(Known::Unknown("no worker has asked GitHub yet".to_owned()));
        }
        tokio::time::sleep(LOOK).await;
    }
}
