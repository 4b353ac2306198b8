//! Webhooks that are parked (W1-W5), and where their deliveries stand meanwhile (J5, J6).

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_domain::{
    DeliveryId, HoldCause, LaneId, ParkPolicy, StoredStatus, WebhookId, WebhookState, probe_wait,
};
use postrider_store::{ParkedWebhook, ProbeClaim};

use super::claims::SUSPECT;
use super::{Hook, Lane, Micros, Model, Probes, Row, timestamp};

/// Webhooks of a batch, as it leaves them.
pub(super) type ParkPolicies = BTreeMap<WebhookId, ParkPolicy>;

/// Deliveries of parked webhooks stand aside from here on.
pub(super) const ASIDE: Micros = 32_503_680_000_000_000;

pub(super) fn aside(webhook: WebhookId) -> Micros {
    ASIDE.saturating_add(webhook.0)
}

impl Model {
    /// Whether a webhook is parked.
    pub fn is_parked(&self, webhook: WebhookId) -> bool {
        self.hooks.get(&webhook).is_some_and(|hook| hook.parked.is_some())
    }

    /// Webhooks that are parked, by row number.
    pub fn parked_ids(&self) -> impl Iterator<Item = WebhookId> {
        self.hooks.iter().filter(|(_, hook)| hook.parked.is_some()).map(|(id, _)| *id)
    }

    /// Whether what is looked at again then stands aside.
    pub fn is_aside(at: Micros) -> bool {
        at >= ASIDE
    }

    /// The last of the probes that held lanes and parked webhooks wait for.
    pub fn last_probe(&self) -> Option<Micros> {
        let lanes = self.lanes.values().filter_map(|lane| lane.next_probe_at);
        lanes.chain(self.hooks.values().filter_map(|hook| hook.next_probe_at)).max()
    }

    /// Does something as if no webhook were parked.
    pub fn unaware_of_parks<T>(&mut self, step: impl FnOnce(&mut Self) -> T) -> T {
        let parked: Vec<_> = self.hooks.iter().map(|(id, hook)| (*id, hook.parked)).collect();
        self.hooks.values_mut().for_each(|hook| hook.parked = None);
        let result = step(self);
        for (id, cause) in parked {
            if let Some(hook) = self.hooks.get_mut(&id) {
                hook.parked = cause;
            }
        }
        result
    }

    /// Webhooks that are parked.
    pub fn parked_webhooks(&self) -> Vec<ParkedWebhook> {
        let told = |(id, hook): (&WebhookId, &Hook)| {
            let waiting = |(lane, at, _): &&(LaneId, Micros, DeliveryId)| {
                *lane == hook.lane && *at == aside(*id)
            };
            Some(ParkedWebhook {
                uuid: hook.webhook.uuid.clone(),
                lane: self.lanes.get(&hook.lane)?.name.clone(),
                cause: hook.parked.filter(|_| hook.state == WebhookState::Enabled)?,
                since: timestamp(self.now),
                next_probe_at: hook.next_probe_at.map(timestamp),
                backlog: self.open.iter().filter(waiting).count() as u64,
            })
        };
        self.hooks.iter().filter_map(told).collect()
    }

    pub(super) fn park_policy(&self, id: WebhookId) -> Option<ParkPolicy> {
        let hook = self.hooks.get(&id)?;
        Some(ParkPolicy {
            is_in_use: hook.state == WebhookState::Enabled,
            parked: hook.parked,
            secrets_rev: hook.secrets_rev,
            had_succeeded: hook.hold_gen == hook.good_gen,
            ..ParkPolicy::default()
        })
    }

    /// W1. A success counts before a park of the same batch.
    pub(super) fn park(&mut self, webhooks: &ParkPolicies) {
        for (id, policy) in webhooks {
            let probe_at = policy.probe_after.map(|wait| self.later(wait));
            let Some(hook) = self.hooks.get_mut(id) else { continue };
            if policy.succeeds {
                hook.good_gen = hook.hold_gen;
            }
            if let Some(cause) = policy.park {
                hook.parked = Some(cause);
                hook.hold_gen += 1;
                hook.next_probe_at = probe_at;
                hook.probes = Probes::default();
            } else if hook.parked == Some(HoldCause::Credential) {
                hook.next_probe_at = hook.next_probe_at.max(probe_at);
            }
        }
    }

    /// The webhook whose answer held the lane, or that was parked first and still is.
    pub(super) fn first_parked(&self, lane: &Lane) -> Option<WebhookId> {
        let is_parked = |id: &WebhookId| {
            self.hooks.get(id).is_some_and(|hook| hook.parked == Some(HoldCause::Credential))
        };
        lane.parked_webhook.filter(|id| lane.hold.is_some() || is_parked(id))
    }

    /// Enabled webhooks of a lane that are not parked because of a secret.
    pub(super) fn unaffected(&self, lane: LaneId) -> u32 {
        let is_unaffected = |hook: &&Hook| {
            hook.lane == lane
                && hook.state == WebhookState::Enabled
                && !hook.parked.is_some_and(HoldCause::is_secret)
        };
        let count = self.hooks.values().filter(is_unaffected).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// W4, W5.
    pub(super) fn unpark(&mut self, which: impl Fn(&Hook, &BTreeMap<LaneId, Lane>) -> bool) {
        let lanes = &self.lanes;
        for hook in self.hooks.values_mut().filter(|hook| which(hook, lanes)) {
            end(hook);
        }
    }

    /// W5: what was refused was another request.
    pub(super) fn other_request(&mut self, id: WebhookId) {
        if let Some(hook) = self.hooks.get_mut(&id) {
            hook.secrets_rev += 1;
            end(hook);
        }
    }

    /// The parked webhook of a lane that has waited longest for its probe.
    pub(super) fn parked_probe(&self, lane: LaneId) -> Option<WebhookId> {
        let is_probed = |hook: &Hook| {
            hook.lane == lane && hook.state == WebhookState::Enabled && hook.parked.is_some()
        };
        let parked = self.hooks.iter().filter(|(_, hook)| is_probed(hook));
        let waits = parked.filter_map(|(id, hook)| Some((hook.next_probe_at?, *id)));
        waits.min().map(|(_, id)| id)
    }

    /// W3.
    pub(super) fn claim_parked_probe(
        &mut self,
        lane: LaneId,
        interval: Duration,
    ) -> Option<ProbeClaim> {
        let now = self.now;
        let id = self.parked_probe(lane)?;
        let next = self.later(probe_wait(interval, self.hooks.get(&id)?.probes.in_vain));
        let hook = self.hooks.get_mut(&id).filter(|hook| hook.next_probe_at <= Some(now))?;
        hook.next_probe_at = Some(next);
        Some(ProbeClaim {
            webhook: Some(id),
            hold_gen: hook.hold_gen,
            secret_rev: hook.secrets_rev,
        })
    }

    /// Whether a probe is for the park that is in force.
    pub(super) fn is_probed(&self, id: WebhookId, lane: LaneId, probe: ProbeClaim) -> bool {
        self.hooks.get(&id).is_some_and(|hook| {
            hook.lane == lane
                && hook.state == WebhookState::Enabled
                && hook.parked == Some(HoldCause::Credential)
                && (hook.hold_gen, hook.secrets_rev) == (probe.hold_gen, probe.secret_rev)
        })
    }

    /// W2.
    pub(super) fn unpark_probed(&mut self, id: WebhookId, probe: ProbeClaim) -> bool {
        let is_of_probe = |hook: &&mut Hook| {
            hook.parked.is_some()
                && (hook.hold_gen, hook.secrets_rev) == (probe.hold_gen, probe.secret_rev)
        };
        self.hooks.get_mut(&id).filter(is_of_probe).map(end).is_some()
    }

    /// `PROBE_TURN`: the newest, then the oldest, then the next oldest.
    pub(super) fn next_probed(
        &mut self,
        lane: LaneId,
        webhook: Option<WebhookId>,
    ) -> Option<DeliveryId> {
        let (first, last) = match webhook {
            Some(webhook) => (aside(webhook).saturating_sub(1), aside(webhook)),
            None => (i64::MIN, self.now),
        };
        let may_be = |row: &Row| {
            row.status == StoredStatus::Waiting
                && row.lost_claims < SUSPECT
                && self.is_in_place(row)
                && (!self.is_parked(row.webhook) || Some(row.webhook) == webhook)
        };
        let waiting: Vec<(Micros, DeliveryId)> = self
            .open_between(lane, first, last)
            .filter(|(_, row)| may_be(row))
            .filter_map(|(id, row)| Some((row.next_at?, id)))
            .collect();
        let probes = match webhook {
            Some(webhook) => self.hooks.get(&webhook)?.probes,
            None => self.lanes.get(&lane)?.probes,
        };
        let after = probes.last.and_then(|last| Some((self.rows.get(&last)?.next_at?, last)));
        let next = waiting
            .iter()
            .find(|each| Some(each.1) != probes.newest && after.is_none_or(|after| **each > after));
        let in_vain = probes.in_vain.saturating_add(1);
        let probes = if let Some((_, id)) = next.filter(|_| probes.newest.is_some()) {
            Probes { in_vain, last: Some(*id), ..probes }
        } else {
            let (_, newest) = waiting.last()?;
            Probes { in_vain, newest: Some(*newest), last: None }
        };
        match webhook {
            Some(webhook) => self.hooks.get_mut(&webhook)?.probes = probes,
            None => self.lanes.get_mut(&lane)?.probes = probes,
        }
        probes.last.or(probes.newest)
    }

    /// J5, J6 (`ASIDE`).
    pub fn sort_parked(&mut self, most: u32) -> u64 {
        let most = most as usize;
        let waiting = |row: &Row| row.status == StoredStatus::Waiting && self.is_in_place(row);
        let open =
            || self.open.iter().filter_map(|(_, at, id)| Some((*at, *id, self.rows.get(id)?)));
        let is_due = |at: Micros, row: &Row| at <= self.now && self.is_parked(row.webhook);
        let aside_now: Vec<DeliveryId> = open()
            .filter(|(at, _, row)| waiting(row) && is_due(*at, row))
            .map(|(_, id, _)| id)
            .take(most)
            .collect();
        let back: Vec<DeliveryId> = open()
            .filter(|(at, _, row)| *at >= ASIDE && waiting(row) && !self.is_parked(row.webhook))
            .map(|(_, id, _)| id)
            .take(most)
            .collect();
        for id in &aside_now {
            self.move_to(*id, |row| aside(row.webhook));
        }
        for id in &back {
            self.move_to(*id, |row| row.created_at);
        }
        aside_now.len().max(back.len()) as u64
    }

    /// What people see of the row does not change.
    fn move_to(&mut self, id: DeliveryId, to: impl FnOnce(&Row) -> Micros) {
        let Some(updated_at) = self.rows.get(&id).map(|row| row.updated_at) else { return };
        self.change(id, |row| row.next_at = Some(to(row)));
        if let Some(row) = self.rows.get_mut(&id) {
            row.updated_at = updated_at;
        }
    }
}

fn end(hook: &mut Hook) {
    hook.parked = None;
    hook.next_probe_at = None;
    hook.probes = Probes::default();
}
