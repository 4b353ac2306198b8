//! Debts that an event told of, with what came of its deliveries.

use postrider_domain::EventId;
use postrider_store::{EventFate, Store, StoreError, ToldDebt};

/// A debt that an event told of, with what came of it.
#[derive(Debug, Clone)]
pub struct DebtFact {
    /// The debt.
    pub debt: ToldDebt,
    /// What came of the event that told of it.
    pub first: Option<EventFate>,
    /// What came of the event that dispatched it again last.
    pub again: Option<EventFate>,
}

/// The events that told of a debt, as far as their fates matter: the first and the last.
pub(crate) fn events_of(debt: &ToldDebt) -> impl Iterator<Item = EventId> {
    [Some(debt.event), debt.again_event].into_iter().flatten()
}

/// All of them.
pub(crate) async fn read(store: &Store) -> Result<Vec<DebtFact>, StoreError> {
    let told = store.told_debts(None).await?;
    let events: Vec<EventId> = told.iter().flat_map(events_of).collect();
    let fates = store.event_fates(&events).await?;
    let fact = |debt: ToldDebt| {
        let first = fates.get(&debt.event).cloned();
        let again = debt.again_event.and_then(|event| fates.get(&event).cloned());
        DebtFact { debt, first, again }
    };
    Ok(told.into_iter().map(fact).collect())
}
