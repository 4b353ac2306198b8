//! What is known of credentials that are written into webhooks.

use std::collections::HashMap;

use jiff::Timestamp;
use postrider_api::CredentialUsers;
use postrider_domain::{HoldCause, WebhookUuid};
use postrider_store::StoreError;

use crate::app::App;

/// What is known of what is written into webhooks, by what uses it: nobody notes it apart.
pub(super) struct InlineSeen {
    successes: HashMap<WebhookUuid, Timestamp>,
    /// Lanes that are held, and webhooks that are parked, for their credential, and since when.
    lanes: HashMap<String, Timestamp>,
    parked: HashMap<WebhookUuid, Timestamp>,
}

impl InlineSeen {
    pub(super) async fn read(app: &App) -> Result<Self, StoreError> {
        let parked = app.store().parked_webhooks().await?.into_iter();
        let refused = parked.filter(|webhook| webhook.cause == HoldCause::Credential);
        Ok(Self {
            successes: app.store().last_successes().await?.into_iter().collect(),
            lanes: app.store().refused_lanes().await?.into_iter().collect(),
            parked: refused.map(|webhook| (webhook.uuid, webhook.since)).collect(),
        })
    }

    pub(super) fn success(&self, of: &CredentialUsers) -> Option<Timestamp> {
        of.webhooks.iter().filter_map(|uuid| self.successes.get(uuid)).max().copied()
    }

    /// Since when it is refused; of a time that is over nobody knows.
    pub(super) fn refusal(&self, of: &CredentialUsers) -> Option<Timestamp> {
        let lanes = of.lanes.iter().filter_map(|lane| self.lanes.get(lane));
        let parked = of.webhooks.iter().filter_map(|uuid| self.parked.get(uuid));
        lanes.chain(parked).max().copied()
    }
}
