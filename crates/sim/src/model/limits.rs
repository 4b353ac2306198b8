//! L10.

use postrider_domain::{LaneId, LimitId};
use postrider_store::LaneSpec;

use super::{Lane, Limit, Model};

impl Model {
    /// L10. How many limits and lanes changed.
    pub fn sync_lanes(&mut self, specs: &[LaneSpec]) -> u64 {
        let kinds: Vec<(LaneId, bool)> =
            self.lanes.keys().map(|id| (*id, self.is_unlimited(*id))).collect();
        let specs: Vec<&LaneSpec> =
            specs.iter().filter(|spec| self.lane_named(&spec.name).is_some()).collect();
        let mut changed = 0;
        for spec in &specs {
            let limit = self.limit_for(spec);
            changed += u64::from(self.apply_limits(limit, spec));
        }
        let mut moved = 0;
        for spec in &specs {
            let limit = self.limit_for(spec);
            if let Some(lane) = self.lane_named(&spec.name) {
                moved += u64::from(self.move_lane(lane, limit));
            }
        }
        changed += moved;
        let flipped: Vec<(LaneId, bool)> =
            kinds.into_iter().filter(|(id, before)| self.is_unlimited(*id) != *before).collect();
        if moved > 0 || !flipped.is_empty() {
            self.version += 1;
        }
        for (lane, _) in flipped.into_iter().filter(|(_, was_unlimited)| *was_unlimited) {
            self.order_limited(lane);
        }
        changed
    }

    fn limit_named(&self, name: &str) -> Option<LimitId> {
        self.limits.iter().find(|(_, limit)| limit.name == name).map(|(id, _)| *id)
    }

    /// The limit of this name, made when missing, else left as it is.
    fn limit_for(&mut self, spec: &LaneSpec) -> LimitId {
        if let Some(id) = self.limit_named(&spec.limit) {
            return id;
        }
        let id = LimitId(self.limits.keys().last().map_or(1, |last| last.0 + 1));
        let limit = Limit {
            name: spec.limit.clone(),
            limits: spec.limits,
            owner: None,
            epoch: 0,
            lease_until: None,
            pause_until: None,
            pause_step: 0,
            next_send_at: 0,
            minutes: std::collections::BTreeMap::new(),
        };
        self.limits.insert(id, limit);
        id
    }

    /// A change of kind ends the lease.
    fn apply_limits(&mut self, id: LimitId, spec: &LaneSpec) -> bool {
        let now = self.now;
        let Some(limit) = self.limits.get_mut(&id) else { return false };
        if limit.limits == spec.limits {
            return false;
        }
        if limit.limits.is_limited() != spec.limits.is_limited() {
            limit.epoch += 1;
            (limit.owner, limit.lease_until) = (None, None);
            limit.next_send_at = limit.next_send_at.max(now);
        }
        limit.limits = spec.limits;
        true
    }

    /// The epochs of both limits rise above either.
    fn move_lane(&mut self, lane: LaneId, after: LimitId) -> bool {
        let before = self.lanes[&lane].limit;
        if before == after {
            return false;
        }
        let both = [before, after];
        let epoch = both.iter().map(|id| self.limits[id].epoch).max().unwrap_or_default() + 1;
        let next = both.iter().map(|id| self.limits[id].next_send_at).max().unwrap_or_default();
        for id in both {
            if let Some(limit) = self.limits.get_mut(&id) {
                limit.epoch = epoch;
                limit.next_send_at = next;
                (limit.owner, limit.lease_until) = (None, None);
            }
        }
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.limit = after;
        }
        true
    }

    /// Fresh rows of a lane that becomes limited are due at once, oldest first.
    fn order_limited(&mut self, lane: LaneId) {
        let fresh: Vec<_> = self
            .open_between(lane, i64::MIN, i64::MAX)
            .filter(|(_, row)| row.is_fresh())
            .map(|(id, row)| (id, row.created_at))
            .collect();
        for (id, created_at) in fresh {
            self.change(id, |row| row.next_at = Some(created_at));
        }
    }

    /// The lane, made when missing.
    pub(super) fn lane_for(&mut self, spec: &LaneSpec) -> LaneId {
        let id = self.lane_named(&spec.name).unwrap_or_else(|| {
            let limit = self.limit_for(spec);
            let id = LaneId(self.lanes.keys().last().map_or(1, |last| last.0 + 1));
            let lane = Lane {
                name: spec.name.clone(),
                limit,
                hold: None,
                held_since: None,
                hold_gen: 0,
                secret_rev: 1,
                next_probe_at: None,
                parked_webhook: None,
                probes: super::Probes::default(),
            };
            self.lanes.insert(id, lane);
            id
        });
        self.sync_lanes(std::slice::from_ref(spec));
        id
    }
}
