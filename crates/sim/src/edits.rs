//! What people change while deliveries are on their way.

use postrider_domain::{LaneId, WebhookState};
use postrider_store::LaneSpec;

use crate::credentials::{own_secret, secret_of, uuid_of, write};
use crate::edit::Edit;
use crate::fault::Fault;
use crate::happening::Happening;
use crate::model::Lane;
use crate::world::World;

impl World {
    pub(crate) fn edits(&mut self, edit: &Edit) {
        self.model.set_now(self.db_now());
        match edit {
            Edit::Webhook { number, lane, enabled } => self.put(*number, *lane, *enabled),
            Edit::Delete { number } => {
                self.model.delete_webhook(&uuid_of(*number));
            }
            Edit::Secret { lane } => self.sets_secret(&secret_of(&self.plan.specs[*lane])),
            Edit::NoSecret { lane } => {
                let secret = secret_of(&self.plan.specs[*lane]);
                self.model.delete_secret(&secret);
            }
            Edit::OwnSecret { number, is_alive } => {
                self.credentials.is_replaced(*number, *is_alive);
                self.sets_secret(&own_secret(*number));
            }
            Edit::Request { number, is_alive } => {
                self.credentials.is_replaced(*number, *is_alive);
                self.puts_another_request(*number);
            }
            Edit::ReleaseWebhook { number } => {
                let uuid = uuid_of(*number);
                self.model.release_webhook(&uuid);
                let lane = self.model.webhook(&uuid).map(|webhook| webhook.lane_id);
                self.wakes_lanes(lane.as_slice());
            }
            Edit::Hold { lane, lasts } => {
                self.model.hold_by_hand(&self.plan.specs[*lane].name);
                let release = Fault::Edit(Edit::Release { lane: *lane });
                self.at(*lasts, Happening::Fault(release));
            }
            Edit::Release { lane } => self.releases(&self.plan.specs[*lane].name.clone()),
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
        let write = write(number, spec, enabled, self.credentials.version(number));
        let target = self.plan.target(&spec.name);
        let own = own_secret(number);
        if !self.model.has_secret(&own) {
            self.model.set_secret(&own);
        }
        self.model.put_webhook(&write);
        if let Some(webhook) = self.model.webhook(&write.webhook.uuid) {
            self.credentials.is_of(webhook.id, number);
        }
        let named = self.model.all_lanes().find(|(_, each)| each.name == write.lane.name);
        if let (Some((id, _)), Some(target)) = (named, target) {
            self.targets.entry(id).or_insert(target);
        }
    }

    fn puts_another_request(&mut self, number: usize) {
        let Some(webhook) = self.model.webhook(&uuid_of(number)) else { return };
        let of_lane = |spec: &LaneSpec| spec.name == webhook.lane;
        let Some(lane) = self.plan.specs.iter().position(of_lane) else { return };
        self.credentials.has_another_request(number);
        self.put(number, lane, webhook.state == WebhookState::Enabled);
    }

    /// A secret gets a value; workers are told of the lanes that this opens.
    pub(crate) fn sets_secret(&mut self, name: &str) {
        let opened = self.model.set_secret(name);
        let is_opened = |(id, lane): (LaneId, &Lane)| opened.contains(&lane.name).then_some(id);
        let lanes: Vec<LaneId> = self.model.all_lanes().filter_map(is_opened).collect();
        self.wakes_lanes(&lanes);
    }

    /// An operator opens a lane; workers are told.
    pub(crate) fn releases(&mut self, name: &str) {
        self.model.release_by_hand(name);
        let is_it = |(id, lane): (LaneId, &Lane)| (lane.name == name).then_some(id);
        let lanes: Vec<LaneId> = self.model.all_lanes().filter_map(is_it).collect();
        self.wakes_lanes(&lanes);
    }

    /// Every process hears that something was committed for lanes, as the one does that serves
    /// the API.
    fn wakes_lanes(&mut self, lanes: &[LaneId]) {
        if lanes.is_empty() {
            return;
        }
        for slot in 0..self.processes.len() {
            let who = self.processes[slot].who();
            let wait = self.chance.within(1..=5);
            self.at(wait, Happening::Woken(who, lanes.to_vec()));
        }
    }

    fn sync(&mut self) {
        self.model.sync_lanes(&self.plan.specs);
        self.checks.terms_changed(self.now);
    }
}
