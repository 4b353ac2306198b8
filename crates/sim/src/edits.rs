//! What people change while deliveries are on their way.

use postrider_domain::{LaneLimits, Rate};
use postrider_store::LaneSpec;

use crate::chance::Chance;
use crate::plan::{any_limits, write};
use crate::world::World;

/// A change.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// A webhook is put into a lane, enabled or not.
    Webhook { number: usize, lane: usize, enabled: bool },
    /// A webhook is deleted.
    Delete { number: usize },
    /// A lane's secret has another value.
    Secret { lane: usize },
    /// It has none.
    NoSecret { lane: usize },
    /// An operator holds a lane.
    Hold { lane: usize },
    /// An operator opens it.
    Release { lane: usize },
    /// Settings give a limit other terms, maybe of the other kind.
    Terms { lane: usize, limits: LaneLimits },
    /// Settings join a lane to the limit of another one.
    Join { lane: usize, to: usize },
}

impl Edit {
    pub(crate) fn any(chance: &mut Chance, lanes: usize) -> Self {
        let lane = chance.count(0..=lanes - 1);
        let number = chance.count(0..=lanes);
        match chance.within(0..=9) {
            0..=2 => Self::Webhook { number, lane, enabled: !chance.one_in(4) },
            3 => Self::Delete { number },
            4 => Self::Secret { lane },
            5 => Self::NoSecret { lane },
            6 => Self::Hold { lane },
            7 => Self::Release { lane },
            8 => Self::Terms { lane, limits: other_limits(chance) },
            _ => Self::Join { lane, to: chance.count(0..=lanes - 1) },
        }
    }
}

/// Not so slow that a seed can't end.
fn other_limits(chance: &mut Chance) -> LaneLimits {
    let limits = any_limits(chance, &mut 0);
    match limits.rate {
        Rate::Limited { count: 10, .. } => {
            let per = std::time::Duration::from_secs(1);
            LaneLimits { rate: Rate::Limited { count: 5, per }, ..limits }
        }
        Rate::Limited { .. } | Rate::Unlimited => limits,
    }
}

impl World {
    pub(crate) fn edits(&mut self, edit: &Edit) {
        self.model.set_now(self.db_now());
        match edit {
            Edit::Webhook { number, lane, enabled } => self.put(*number, *lane, *enabled),
            Edit::Delete { number } => {
                let write = write(*number, &self.plan.specs[0], true);
                self.model.delete_webhook(&write.webhook.uuid);
            }
            Edit::Secret { lane } => {
                let secret = secret_of(&self.plan.specs[*lane]);
                self.model.set_secret(&secret);
            }
            Edit::NoSecret { lane } => {
                let secret = secret_of(&self.plan.specs[*lane]);
                self.model.delete_secret(&secret);
            }
            Edit::Hold { lane } => {
                self.model.hold_by_hand(&self.plan.specs[*lane].name);
            }
            Edit::Release { lane } => {
                self.model.release_by_hand(&self.plan.specs[*lane].name);
            }
            Edit::Terms { lane, limits } => {
                let limit = self.plan.specs[*lane].limit.clone();
                let of_limit = self.plan.specs.iter_mut().filter(|spec| spec.limit == limit);
                of_limit.for_each(|spec| spec.limits = *limits);
                self.sync();
            }
            Edit::Join { lane, to } => {
                let LaneSpec { limit, limits, .. } = self.plan.specs[*to].clone();
                self.plan.specs[*lane].limit = limit;
                self.plan.specs[*lane].limits = limits;
                self.sync();
            }
        }
    }

    pub(crate) fn put(&mut self, number: usize, lane: usize, enabled: bool) {
        let spec = &self.plan.specs[lane];
        let write = write(number, spec, enabled);
        let target = self.plan.target(&spec.name);
        self.model.put_webhook(&write);
        let named = self.model.all_lanes().find(|(_, each)| each.name == write.lane.name);
        if let (Some((id, _)), Some(target)) = (named, target) {
            self.targets.entry(id).or_insert(target);
        }
    }

    fn sync(&mut self) {
        self.model.sync_lanes(&self.plan.specs);
        self.checks.terms_changed(self.now);
    }
}

pub(crate) fn secret_of(spec: &LaneSpec) -> String {
    spec.name.split('/').next_back().unwrap_or_default().to_owned()
}
