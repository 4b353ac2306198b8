//! T6-T11.

use std::collections::{BTreeMap, HashSet};

use postrider_domain::{
    Due, HoldCause, LaneEvidence, LaneId, LanePolicy, LastOutcome, LimitId, LimitPolicy, NextRow,
    Outcome, ParkPolicy, Rejection, StoredStatus, Transition, WebhookState, after_outcome,
};
use postrider_store::{RecordReport, Recorded};

use super::Model;
use super::parked::{ParkPolicies, aside};

type LanePolicies = BTreeMap<LaneId, LanePolicy>;

impl Model {
    /// Records a batch.
    pub fn record(&mut self, batch: &[Recorded]) -> RecordReport {
        let mut seen = HashSet::new();
        let batch: Vec<&Recorded> =
            batch.iter().filter(|each| seen.insert((each.id, each.claim_no))).collect();
        let (lanes, webhooks) = self.record_lanes(&batch);
        let mut late = Vec::new();
        for each in &batch {
            if !self.record_row(each, &lanes, &webhooks) {
                late.push((each.id, each.claim_no));
            }
            self.keep_attempt(each);
        }
        let held = lanes.iter().filter(|(_, lane)| lane.hold.is_some()).map(|(id, _)| *id);
        RecordReport { late, held: held.collect() }
    }

    /// L4, L7, W1: the lanes and webhooks of a batch, as it leaves them (`RECORD_ONCE`).
    fn record_lanes(&mut self, batch: &[&Recorded]) -> (LanePolicies, ParkPolicies) {
        let mut lanes: BTreeMap<LaneId, LanePolicy> = batch
            .iter()
            .filter_map(|each| Some((each.lane_id, self.lane_policy(each.lane_id)?)))
            .collect();
        let mut webhooks: ParkPolicies = batch
            .iter()
            .filter_map(|each| Some((each.webhook_id, self.park_policy(each.webhook_id)?)))
            .collect();
        let mut limits: BTreeMap<LimitId, LimitPolicy> = BTreeMap::new();
        for each in batch.iter().filter(|each| !self.is_repeated(each)) {
            let evidence = evidence(each);
            let Some(lane) = lanes.get_mut(&each.lane_id) else { continue };
            let mut unknown = ParkPolicy::default();
            lane.add(&evidence, webhooks.get_mut(&each.webhook_id).unwrap_or(&mut unknown));
            let id = self.lanes[&each.lane_id].limit;
            let step = self.limits[&id].pause_step;
            limits.entry(id).or_insert_with(|| LimitPolicy::new(step)).add(&evidence);
        }
        for (id, policy) in limits {
            let until = policy.pause.map(|pause| self.later(pause));
            let Some(limit) = self.limits.get_mut(&id) else { continue };
            limit.pause_step = policy.pause_step;
            limit.pause_until = limit.pause_until.max(until);
        }
        for (id, policy) in &lanes {
            let probe_at = policy.hold.map(|hold| self.later(hold.probe_after));
            let Some(lane) = self.lanes.get_mut(id) else { continue };
            lane.parked_webhook = policy.parked_webhook;
            if let Some(hold) = policy.hold {
                lane.hold = Some(hold.cause);
                lane.hold_gen += 1;
                lane.held_since = Some(self.now);
                lane.next_probe_at = probe_at;
            }
        }
        self.park(&webhooks);
        for (id, policy) in &lanes {
            if let Some(hold) = policy.hold {
                let is_of = move |cause: HoldCause| cause.is_secret() == hold.cause.is_secret();
                self.unpark(|hook, _| hook.lane == *id && hook.parked.is_some_and(is_of));
            }
        }
        (lanes, webhooks)
    }

    fn lane_policy(&self, id: LaneId) -> Option<LanePolicy> {
        let lane = self.lanes.get(&id)?;
        let uses = |hook: &super::Hook| hook.lane == id && hook.state == WebhookState::Enabled;
        Some(LanePolicy {
            held: lane.hold.is_some(),
            in_use: self.hooks.values().any(uses),
            has_credential: !lane.name.ends_with("/none"),
            secret_rev: lane.secret_rev,
            parked_webhook: self.first_parked(lane),
            unaffected: self.unaffected(id),
            hold: None,
        })
    }

    fn is_repeated(&self, each: &Recorded) -> bool {
        let kept = self.attempts.get(&(each.id, each.claim_no));
        kept.is_some_and(|attempt| attempt.outcome != Outcome::Lost)
    }

    /// FENCE: whether the claim still ran.
    fn record_row(
        &mut self,
        each: &Recorded,
        lanes: &LanePolicies,
        webhooks: &ParkPolicies,
    ) -> bool {
        let is_mine = self.rows.get(&each.id).is_some_and(|row| {
            row.status == StoredStatus::Sending && row.claim_no == each.claim_no
        });
        if !is_mine {
            return false;
        }
        if matches!(each.transition, Transition::Released { .. }) {
            self.uncount(each.id);
        }
        let webhook = webhooks.get(&each.webhook_id).copied().unwrap_or_default();
        let rejection = lanes
            .get(&each.lane_id)
            .map_or(Rejection::Outdated, |lane| webhook.rejection(lane, &evidence(each)));
        let last = each.attempt.as_ref().map(|attempt| LastOutcome {
            outcome: attempt.outcome,
            status_code: attempt.status_code,
        });
        let next = after_outcome(each.row, each.transition, rejection, last);
        self.apply(each.id, next, each.attempt.is_some());
        true
    }

    /// What was decided is written.
    pub(super) fn apply(
        &mut self,
        id: postrider_domain::DeliveryId,
        next: NextRow,
        is_attempt: bool,
    ) {
        let now = self.now;
        let later = match next.due {
            Due::After(wait) => Some(self.later(wait)),
            Due::Never | Due::InTurn | Due::First | Due::Aside => None,
        };
        self.change(id, |row| {
            row.status = next.status;
            row.attempt -= u32::from(next.gives_back);
            row.next_at = match next.due {
                Due::Never => None,
                Due::InTurn => Some(row.created_at),
                Due::First => Some(0),
                Due::Aside => Some(aside(row.webhook)),
                Due::After(_) => later.or(Some(now)),
            };
            row.maybe_sent |= next.marks;
            row.rejections = next.rejections;
            row.lost_claims = next.lost_claims;
            row.attempts += u32::from(is_attempt);
            row.last = next.last.or(row.last);
            (row.claimed_by, row.claimed_until) = (None, None);
        });
    }

    /// A late one takes the place of the record that the janitor made.
    fn keep_attempt(&mut self, each: &Recorded) {
        if let Some(attempt) = &each.attempt
            && self.rows.contains_key(&each.id)
            && !self.is_repeated(each)
        {
            self.attempts.insert((each.id, each.claim_no), attempt.clone());
        }
    }
}

fn evidence(each: &Recorded) -> LaneEvidence {
    LaneEvidence {
        webhook: each.webhook_id,
        transition: each.transition,
        outcome: each.attempt.as_ref().map(|attempt| attempt.outcome),
        rejections: each.row.rejections,
    }
}
