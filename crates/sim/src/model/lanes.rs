//! Polls; L6-L8.

use std::time::Duration;

use postrider_domain::{HoldCause, LaneId, LaneState, StoredStatus, WebhookState};
use postrider_store::{LanePage, LaneStatus, LimitStatus, Poll, ProbeClaim, StoredWebhook};

use super::{Lane, Model, ahead};

/// Lanes in one page.
const PAGE: usize = 1_000;

impl Model {
    /// Lanes as a worker has to know them.
    pub fn poll(&self, which: Poll<'_>) -> LanePage {
        let ids: Vec<LaneId> = match which {
            Poll::Those(lanes) => {
                self.lanes.keys().filter(|id| lanes.contains(id)).copied().collect()
            }
            Poll::Page(after) => {
                let rest = self.lanes.keys().filter(|id| Some(**id) > after);
                rest.take(PAGE).copied().collect()
            }
        };
        let next = match which {
            Poll::Page(_) if ids.len() == PAGE => ids.last().copied(),
            Poll::Page(_) | Poll::Those(_) => None,
        };
        let lanes = ids.iter().filter_map(|id| self.lane_status(*id)).collect();
        LanePage { lanes, next }
    }

    fn lane_status(&self, id: LaneId) -> Option<LaneStatus> {
        let lane = self.lanes.get(&id)?;
        let limit = self.limits.get(&lane.limit)?;
        let now = self.now;
        let is_waiting = |row: &super::Row| row.status == StoredStatus::Waiting;
        let is_due = self.open_between(id, i64::MIN, now).any(|(_, row)| is_waiting(row));
        let is_clean = !limit.limits.is_limited() || !self.has_old_claims(lane.limit, limit.epoch);
        let probe_at = match lane.hold {
            None => self.parked_probe(id).and_then(|webhook| self.hooks[&webhook].next_probe_at),
            Some(HoldCause::Manual) => None,
            Some(_) => lane.next_probe_at,
        };
        Some(LaneStatus {
            id,
            name: lane.name.clone(),
            state: lane.hold.map_or(LaneState::Open, LaneState::Held),
            hold_gen: lane.hold_gen,
            secret_rev: lane.secret_rev,
            due: is_due,
            open: self.open_between(id, i64::MIN, i64::MAX).next().is_some(),
            probe_due: probe_at.is_some_and(|at| at <= now),
            probe_in: ahead(probe_at, now),
            limit: LimitStatus {
                id: lane.limit,
                limits: limit.limits,
                paused_for: ahead(limit.pause_until, now),
                leased: limit.owner.is_some() && limit.lease_until > Some(now),
                clean: is_clean.then_some(limit.epoch),
                next_send_in: ahead(Some(limit.next_send_at), now),
            },
        })
    }

    /// L6, W2 (`RELEASE_GEN`).
    pub fn release_probed(&mut self, lane: LaneId, probe: ProbeClaim) -> bool {
        if let Some(webhook) = probe.webhook {
            return self.unpark_probed(webhook, probe);
        }
        let Some(state) = self.lanes.get_mut(&lane) else { return false };
        let is_of_probe = (state.hold_gen, state.secret_rev) == (probe.hold_gen, probe.secret_rev);
        let opens = is_of_probe && state.hold.is_some_and(|cause| cause != HoldCause::Manual);
        if opens {
            release(state);
        }
        opens
    }

    /// L7 (`PAUSE_MAX`).
    pub fn pause(&mut self, lane: LaneId, pause: Duration) {
        let until = self.later(pause);
        let Some(limit) = self.lanes.get(&lane).map(|lane| lane.limit) else { return };
        if let Some(limit) = self.limits.get_mut(&limit) {
            limit.pause_until = limit.pause_until.max(Some(until));
        }
    }

    /// L8; whether there is such a lane.
    pub fn hold_by_hand(&mut self, name: &str) -> bool {
        let now = self.now;
        let Some(lane) = self.lane_mut(name) else { return false };
        lane.hold = Some(HoldCause::Manual);
        lane.hold_gen += 1;
        lane.held_since.get_or_insert(now);
        lane.next_probe_at = None;
        true
    }

    /// L8; whether there is such a lane.
    pub fn release_by_hand(&mut self, name: &str) -> bool {
        let Some(lane) = self.lane_mut(name) else { return false };
        if lane.hold.is_some() {
            release(lane);
        }
        self.unpark(|hook, lanes| lanes.get(&hook.lane).is_some_and(|lane| lane.name == name));
        true
    }

    fn lane_mut(&mut self, name: &str) -> Option<&mut Lane> {
        self.lane_named(name).and_then(|id| self.lanes.get_mut(&id))
    }

    /// A webhook to probe a lane with.
    pub fn lane_webhook(&self, lane: LaneId) -> Option<StoredWebhook> {
        let uses = |hook: &super::Hook| hook.lane == lane && hook.state == WebhookState::Enabled;
        let first = self.lanes.get(&lane)?.parked_webhook;
        let held_it = first.filter(|id| self.hooks.get(id).is_some_and(uses));
        let any = || self.hooks.iter().find(|(_, hook)| uses(hook)).map(|(id, _)| *id);
        self.stored(held_it.or_else(any)?)
    }
}

pub(super) fn release(lane: &mut Lane) {
    lane.hold = None;
    lane.held_since = None;
    lane.next_probe_at = None;
    lane.parked_webhook = None;
    lane.probes = super::Probes::default();
}
