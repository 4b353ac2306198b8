//! Why a verification is not there: one engine for the API, the command and the page.
//!
//! It gathers what the broker, the store and GitHub say; the verdict is made of that by
//! [`postrider_domain::doctor`].

mod at_broker;
mod here;
mod runs;

use jiff::Timestamp;
use postrider_domain::doctor::{Asked, Diagnosis, Facts, Known, Publication, diagnose};
use postrider_store::{Store, StoreError};

use crate::WebConfig;
use at_broker::AtBroker;
pub(crate) use at_broker::known_broker;

/// Says what is wrong with the verification of a contract, where, and what to do about it. What
/// can't be read from the broker or from GitHub is part of the answer; only the store has to be
/// there. Takes up to half a minute where others are slow.
pub(crate) async fn examine(
    store: &Store,
    config: &WebConfig,
    asked: Asked,
) -> Result<Diagnosis, StoreError> {
    let now = Timestamp::now();
    let AtBroker { publication, required, latest, not_received, content } =
        at_broker::ask(config, &asked).await;
    let version = match &publication {
        Known::Is(Publication::Is { version, .. }) => Some(version.clone()),
        Known::Is(_) | Known::Unknown(_) => asked.version.clone(),
    };
    let contract = (version.as_deref(), content.as_deref());
    let mut events = here::events(store, &asked, contract).await?;
    let owes = match &required {
        Known::Is(required) => required.iter().any(|version| version.result.is_none()),
        Known::Unknown(_) => true,
    };
    if owes {
        runs::ask(store, &mut events).await?;
    }
    let patience = config.doctor_patience;
    let facts = Facts { asked, now, patience, publication, required, latest, not_received, events };
    Ok(diagnose(&facts))
}
