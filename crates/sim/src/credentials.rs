//! Webhooks with their secrets, and which of their credentials targets take.

use std::collections::{BTreeMap, BTreeSet};

use postrider_domain::{Webhook, WebhookId, WebhookUuid};
use postrider_store::{LaneSpec, WebhookWrite};
use postrider_testkit::acts;

/// What is known of webhooks by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    numbers: BTreeMap<WebhookId, usize>,
    /// How often a request was replaced by another.
    versions: BTreeMap<usize, u32>,
    /// Whose own credential their target refuses, elsewhere than at GitHub.
    dead: BTreeSet<usize>,
    /// After the storm: the others have to come to their end first.
    dead_until_others_end: BTreeSet<WebhookId>,
}

impl Credentials {
    /// A row is that of the webhook of this number.
    pub(crate) fn is_of(&mut self, id: WebhookId, number: usize) {
        self.numbers.insert(id, number);
    }

    pub(crate) fn dies(&mut self, number: usize) {
        self.dead.insert(number);
    }

    pub(crate) fn lives(&mut self, number: usize) {
        self.dead.remove(&number);
    }

    /// It has another one, which its target takes or does not.
    pub(crate) fn is_replaced(&mut self, number: usize, is_alive: bool) {
        if is_alive {
            self.lives(number);
        }
    }

    pub(crate) fn has_another_request(&mut self, number: usize) {
        *self.versions.entry(number).or_default() += 1;
    }

    pub(crate) fn version(&self, number: usize) -> u32 {
        self.versions.get(&number).copied().unwrap_or(0)
    }

    pub(crate) fn is_dead(&self, id: WebhookId) -> bool {
        let number = self.numbers.get(&id);
        self.dead_until_others_end.contains(&id)
            || number.is_some_and(|number| self.dead.contains(number))
    }

    /// The storm is over: only these are dead still.
    pub(crate) fn calms(&mut self, dead: BTreeSet<WebhookId>) {
        self.dead.clear();
        self.dead_until_others_end = dead;
    }

    /// Those that stay dead until all others have come to their end.
    pub(crate) fn left(&self) -> &BTreeSet<WebhookId> {
        &self.dead_until_others_end
    }
}

/// A webhook of this number in a lane.
pub(crate) fn write(number: usize, lane: &LaneSpec, enabled: bool, version: u32) -> WebhookWrite {
    let mut webhook = Webhook { enabled, uuid: uuid_of(number), ..acts::webhook("any") };
    webhook.request.url.push_str(&version.to_string());
    let secret_names = BTreeSet::from([secret_of(lane), own_secret(number)]);
    WebhookWrite { webhook, lane: lane.clone(), secret_names }
}

pub(crate) fn uuid_of(number: usize) -> WebhookUuid {
    acts::webhook(&format!("webhook-{number:0>12}")).uuid
}

/// The secret that a lane is named after.
pub(crate) fn secret_of(spec: &LaneSpec) -> String {
    spec.name.split('/').next_back().unwrap_or_default().to_owned()
}

/// The secret that a webhook has for itself, as a token in its URL.
pub(crate) fn own_secret(number: usize) -> String {
    format!("own-{number}")
}
