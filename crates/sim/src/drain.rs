//! After the storm: everything comes to its end, within a bound; then everybody stops.

use std::collections::BTreeSet;

use postrider_domain::{HoldCause, HourBudget, LaneId, LimitId, WebhookId, WebhookState};
use postrider_store::LaneSpec;

use crate::credentials::secret_of;
use crate::happening::Happening;
use crate::model::Model;
use crate::process::{Phase, Process, Who};
use crate::target::Weather;
use crate::trace::told;
use crate::world::World;

const HOUR: u64 = 3_600_000;

impl World {
    /// The weather clears up: nothing goes wrong any more, what people closed is opened. Some
    /// webhooks' credentials stay dead until the deliveries of all others have come to their end.
    pub(crate) fn calms(&mut self) {
        told!(self, "the storm is over");
        self.is_stormy = false;
        self.calm_at = self.now;
        self.lossy_until = self.now;
        self.slow_store_until = self.now;
        self.store_away_until = self.store_away_until.min(self.now);
        self.queue_away_until = self.queue_away_until.min(self.now);
        for target in self.targets.values_mut() {
            target.weather = Weather::Fine(30);
        }
        for slot in 0..self.processes.len() {
            let process = &mut self.processes[slot];
            process.store_cut_until = process.store_cut_until.min(self.now);
            process.queue_cut_until = process.queue_cut_until.min(self.now);
            process.trouble_until = process.trouble_until.min(self.now);
            (process.panics, process.dies_after) = (0, None);
            self.at(0, Happening::Starts(slot));
        }
        self.model.set_now(self.db_now());
        let dead = self.any_dead();
        for spec in self.plan.specs.clone() {
            self.mends(&spec, &dead);
        }
        self.credentials.calms(dead.into_iter().map(|(_, webhook)| webhook).collect());
        self.by = self.now + self.bound();
    }

    /// Webhooks whose credentials stay dead, with their lanes: at most one of a lane, for two hold
    /// it (`HOLD_POWER`), and none at GitHub, where one does.
    fn any_dead(&mut self) -> Vec<(LaneId, WebhookId)> {
        let Some(table) = self.model.webhook_table(None) else { return Vec::new() };
        let mut dead: Vec<(LaneId, WebhookId)> = Vec::new();
        for webhook in table.webhooks {
            let is_other = !self.target_of(webhook.lane_id).kind.is_github();
            let is_first = dead.iter().all(|(lane, _)| *lane != webhook.lane_id);
            let may_be = is_other && is_first && webhook.state == WebhookState::Enabled;
            if may_be && self.chance.one_in(4) {
                dead.push((webhook.lane_id, webhook.id));
            }
        }
        dead
    }

    /// What only people can open, they open; of the rest some, and the probes find out that the
    /// others may go on.
    fn mends(&mut self, spec: &LaneSpec, dead: &[(LaneId, WebhookId)]) {
        let Some((id, hold)) = self.lane_named(&spec.name) else { return };
        let secret = secret_of(spec);
        if dead.iter().any(|(lane, _)| *lane == id) {
            // What was refused in the storm says nothing any more: one webhook is refused alone.
            self.sets_secret(&secret);
            self.releases(&spec.name);
            return;
        }
        if !self.model.has_secret(&secret) || self.chance.one_in(4) {
            self.sets_secret(&secret);
        }
        if hold == Some(HoldCause::Manual) || self.chance.one_in(4) {
            self.releases(&spec.name);
        }
    }

    fn lane_named(&self, name: &str) -> Option<(LaneId, Option<HoldCause>)> {
        let mut lanes = self.model.all_lanes();
        lanes.find(|(_, lane)| lane.name == name).map(|(id, lane)| (id, lane.hold))
    }

    /// Those that stayed dead live again once everything else has come to its end.
    pub(crate) fn looks_after_dead_ones(&mut self) {
        let dead = self.credentials.left();
        if self.is_stormy || dead.is_empty() || self.has_work_but_of(dead) {
            return;
        }
        told!(self, "the last credentials live again: {dead:?}");
        self.credentials.calms(BTreeSet::new());
        self.by = self.now + self.bound();
    }

    /// Whether anything is to be done but deliveries of these.
    fn has_work_but_of(&self, webhooks: &BTreeSet<WebhookId>) -> bool {
        let is_left = self.rows_left > 0 || self.commits_open > 0 || self.queue.left() > 0;
        is_left || self.model.open_rows().any(|row| !webhooks.contains(&row.webhook))
    }

    /// How long what is left may take, by rows, paces, pauses and waits.
    fn bound(&self) -> u64 {
        let ms =
            |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = self.db_now();
        let is_near = |at: &i64| !Model::is_aside(*at);
        let due = self.model.rows().filter_map(|(_, row)| row.next_at).filter(is_near).max();
        let due = due.max(self.model.last_probe());
        let pause = self.model.limits().filter_map(|(_, limit)| limit.pause_until).max();
        let latest = due.max(pause).map_or(0, |at| u64::try_from((at - now) / 1_000).unwrap_or(0));
        let slots = self.model.limits().map(|(_, limit)| limit.next_send_at).max();
        let slots = slots.map_or(0, |at| u64::try_from((at - now) / 1_000).unwrap_or(0));
        let interval = self.model.limits().filter_map(|(_, limit)| limit.limits.interval()).max();
        let rows = u64::try_from(self.model.open() + self.rows_left + 2).unwrap_or(u64::MAX);
        let paced = ms(interval.unwrap_or_default()).saturating_mul(rows) * 11 / 10;
        // What several workers share is claimed from the store one at a time at worst.
        let served = rows * 200;
        let rest = 60_000 + ms(self.plan.sweep_after) + 3 * ms(self.plan.lease);
        let waits = 160_000 + 2 * self.clock_moved;
        // What the storm left of an hour's budget may be less than what is left to send.
        let is_short = |(id, _): (LimitId, _)| match self.model.hour(id) {
            HourBudget::Free(free) => u64::from(free) < 2 * rows,
            HourBudget::Full { .. } => true,
        };
        let budget = if self.model.limits().any(is_short) { 2 * HOUR } else { 0 };
        let frozen = self.processes.iter().map(|process| process.frozen_until).max();
        let frozen = frozen.unwrap_or(0).saturating_sub(self.now);
        frozen + latest + slots + paced + served + rest + waits + budget
    }

    /// Whether everything has come to its end.
    pub(crate) fn is_done(&self) -> bool {
        !self.is_stormy
            && self.rows_left == 0
            && self.model.open() == 0
            && self.queue.left() == 0
            && self.commits_open == 0
            && self.processes.iter().all(Process::is_settled)
    }

    /// A process that stopped is gone. In fair weather it leaves nothing behind.
    pub(crate) fn exits(&mut self, who: Who) {
        let process = &self.processes[who.slot];
        let Phase::Stopped(_) = process.phase else { return };
        if process.brain.is_none() {
            return;
        }
        let worker = process.worker;
        let is_fair = self.was_fair_since(who, self.plan.timeout_ms() + 20_000);
        let left = self.model.rows().find(|(_, row)| row.claimed_by == Some(worker));
        if let Some((id, _)) = left.filter(|_| is_fair) {
            self.fail(format!("{who} has stopped and left its claim of {id}"));
        }
        let restarts_after = self.chance.within(10..=3_000);
        self.dies(who, restarts_after);
    }

    /// Nothing has gone wrong with this process for so long.
    pub(crate) fn was_fair_since(&self, who: Who, length: u64) -> bool {
        let since = self.now.saturating_sub(length);
        let process = &self.processes[who.slot];
        process.disturbed_at.max(self.disturbed_at) <= since
            && process.frozen_until <= since
            && process.store_cut_until <= since
            && self.store_away_until <= since
            && self.slow_store_until <= since
            && self.lossy_until <= since
            && !self.checks.is_late(who, since)
    }
}
