//! Webhooks and the revisions of secrets (L5).

use std::sync::Arc;

use postrider_domain::{LaneId, Webhook, WebhookId, WebhookState, WebhookUuid};
use postrider_store::{Put, StoredWebhook, WebhookTable, WebhookWrite};

use super::{Hook, Model, timestamp};

impl Model {
    /// The table, or `None` when it is still at `known`.
    pub fn webhook_table(&self, known: Option<i64>) -> Option<WebhookTable> {
        if known == Some(self.version) {
            return None;
        }
        let is_listed =
            |(id, hook): (&WebhookId, &Hook)| (hook.state != WebhookState::Deleted).then_some(*id);
        let ids = self.hooks.iter().filter_map(is_listed);
        let webhooks = ids.filter_map(|id| self.stored(id)).map(Arc::new).collect();
        Some(WebhookTable { version: self.version, webhooks })
    }

    /// One webhook; deleted ones are not found.
    pub fn webhook(&self, uuid: &WebhookUuid) -> Option<StoredWebhook> {
        self.id_of(uuid).and_then(|id| self.stored(id))
    }

    /// Webhooks by row number, deleted ones included.
    pub fn webhooks_by_id(&self, ids: &[WebhookId]) -> Vec<StoredWebhook> {
        let found = self.hooks.keys().filter(|id| ids.contains(id));
        found.filter_map(|id| self.stored(*id)).collect()
    }

    fn id_of(&self, uuid: &WebhookUuid) -> Option<WebhookId> {
        let is_it = |hook: &Hook| hook.webhook.uuid == *uuid && hook.state != WebhookState::Deleted;
        self.hooks.iter().find(|(_, hook)| is_it(hook)).map(|(id, _)| *id)
    }

    pub(super) fn stored(&self, id: WebhookId) -> Option<StoredWebhook> {
        let hook = self.hooks.get(&id)?;
        Some(StoredWebhook {
            id,
            rev: hook.rev,
            state: hook.state,
            lane_id: hook.lane,
            lane: self.lanes.get(&hook.lane)?.name.clone(),
            lane_limited: !self.is_unlimited(hook.lane),
            secret_names: hook.secrets.clone(),
            webhook: hook.webhook.clone(),
        })
    }

    /// Creates or replaces; `None` never.
    pub fn put_webhook(&mut self, write: &WebhookWrite) -> Option<Put> {
        let lane = self.lane_for(&write.lane);
        let (at, new) = (timestamp(self.now), &write.webhook);
        let state = if new.enabled { WebhookState::Enabled } else { WebhookState::Disabled };
        self.version += 1;
        if let Some(id) = self.id_of(&new.uuid) {
            let is_other = |hook: &Hook| {
                hook.lane != lane
                    || hook.webhook.request != new.request
                    || hook.webhook.team_uuid != new.team_uuid
                    || hook.secrets != write.secret_names
            };
            if self.hooks.get(&id).is_some_and(is_other) {
                self.other_request(id);
            }
            let hook = self.hooks.get_mut(&id)?;
            let created_at = hook.webhook.created_at;
            hook.webhook = Webhook { created_at, updated_at: at, ..new.clone() };
            hook.rev += 1;
            hook.state = state;
            hook.lane = lane;
            hook.secrets.clone_from(&write.secret_names);
            return self.stored(id).map(Put::Replaced);
        }
        let id = WebhookId(self.hooks.keys().last().map_or(1, |last| last.0 + 1));
        let webhook = Webhook { created_at: at, updated_at: at, ..new.clone() };
        let secrets = write.secret_names.clone();
        let hook = Hook {
            webhook,
            rev: 1,
            state,
            lane,
            secrets,
            parked: None,
            hold_gen: 0,
            good_gen: 0,
            secrets_rev: 1,
            next_probe_at: None,
            probes: super::Probes::default(),
        };
        self.hooks.insert(id, hook);
        self.stored(id).map(Put::Created)
    }

    /// Deletes softly; whether there was one.
    pub fn delete_webhook(&mut self, uuid: &WebhookUuid) -> bool {
        let Some(hook) = self.id_of(uuid).and_then(|id| self.hooks.get_mut(&id)) else {
            return false;
        };
        hook.state = WebhookState::Deleted;
        hook.rev += 1;
        self.version += 1;
        true
    }

    /// W5; `None` when there is none, else whether it was parked.
    pub fn release_webhook(&mut self, uuid: &WebhookUuid) -> Option<bool> {
        let id = self.id_of(uuid)?;
        let was_parked = self.is_parked(id);
        self.unpark(|hook, _| hook.state != WebhookState::Deleted && hook.webhook.uuid == *uuid);
        Some(was_parked)
    }

    /// L5: raises the revisions and opens what is not held by hand; the names of what opened.
    pub fn set_secret(&mut self, name: &str) -> Vec<String> {
        self.secrets.insert(name.to_owned());
        let mut opened = Vec::new();
        for id in self.raise_secret_rev(name) {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            if lane.hold.is_some_and(|cause| cause != postrider_domain::HoldCause::Manual) {
                super::lanes::release(lane);
                opened.push(lane.name.clone());
            }
        }
        self.unpark(|hook, _| hook.state != WebhookState::Deleted && hook.secrets.contains(name));
        opened
    }

    /// Removes one; whether there was one.
    pub fn delete_secret(&mut self, name: &str) -> bool {
        let was_there = self.secrets.remove(name);
        if was_there {
            self.raise_secret_rev(name);
        }
        was_there
    }

    /// Whether there is a secret of this name.
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets.contains(name)
    }

    /// Whether a secret that the webhook uses has no value.
    pub fn lacks_secret(&self, id: WebhookId) -> bool {
        self.hooks.get(&id).is_some_and(|hook| !hook.secrets.is_subset(&self.secrets))
    }

    fn raise_secret_rev(&mut self, name: &str) -> Vec<LaneId> {
        let uses = |hook: &Hook| hook.state != WebhookState::Deleted && hook.secrets.contains(name);
        let mut lanes: Vec<LaneId> =
            self.hooks.values().filter(|hook| uses(hook)).map(|hook| hook.lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        for id in &lanes {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.secret_rev += 1;
                lane.parked_webhook = None;
            }
        }
        for hook in self.hooks.values_mut().filter(|hook| uses(hook)) {
            hook.secrets_rev += 1;
        }
        lanes
    }
}
