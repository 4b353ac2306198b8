//! Probes of held lanes and parked webhooks (L9, W3): a limited lane's is its leader's, an unlimited one's anybody's.

use super::permit::Account;
use super::state::Timer;
use super::state::probes::{Probe, Stage};
use super::time::whole_millis;
use super::{ClaimKey, Command, Millis, Permit, Scheduler, Ticket};

/// A probe of a limited lane begins this part of a claim's margin before the next turn.
const PROBE_AHEAD_PART: u32 = 2;

impl<P> Scheduler<P> {
    /// The lane's probe is due.
    pub(super) fn probe(&mut self, lane: usize) {
        if !std::mem::replace(&mut self.lanes[lane].probing, true) {
            self.probes.waiting.push_back(lane);
        }
    }

    pub(super) fn flush_probes(&mut self) {
        while self.accounts.probe_room() > 0
            && self.may_claim()
            && let Some(lane) = self.probes.waiting.pop_front()
        {
            self.start_probe(lane);
        }
    }

    fn start_probe(&mut self, lane: usize) {
        let limit = self.lanes[lane].limit.filter(|_| self.is_limited(lane));
        let led = limit.and_then(|limit| self.limits[limit].led);
        let is_open = self.lane_limit(lane).is_none_or(|limit| limit.is_open(self.now));
        let may_probe = limit.is_none_or(|limit| self.limits[limit].pacer.is_clean());
        if !self.lanes[lane].probe_due || !is_open || !may_probe {
            self.lanes[lane].probing = false;
            return;
        }
        if limit.is_some_and(|limit| self.is_early_for_probe(lane, limit)) {
            self.lanes[lane].probing = false;
            return;
        }
        let permit = self.grant_probe(lane).owed();
        self.probes.open.insert(permit.ticket, Probe { lane, limit, stage: Stage::Preparing });
        let lease = led.map(|led| led.lease);
        let interval = limit.map(|limit| self.limits[limit].interval()).unwrap_or_default();
        self.out.push(Command::Probe { lane: permit.lane_id, lease, interval, permit });
    }

    /// Whether a probe of a limited lane has to wait before it begins: what it claims can wait for
    /// its turn no longer than the claim's margin, and the next turn is further away. The lane is
    /// looked at again in time; the next turn is a probe's that is ready.
    fn is_early_for_probe(&mut self, lane: usize, limit: usize) -> bool {
        let state = &self.limits[limit];
        let ahead = whole_millis(self.settings.claim_margin / PROBE_AHEAD_PART);
        let from = state.next_send().map_or(0, |next| next.0.saturating_sub(ahead));
        if from > self.now.0 {
            self.timers.bring_forward(Timer::Probe(lane), Millis(from));
            return true;
        }
        state.sending >= state.concurrency()
    }

    /// An attempt or a probe has its request ready.
    pub(super) fn prepared(&mut self, ticket: Ticket, claim: Option<ClaimKey>) {
        if let Some(key) = claim {
            self.ids.lives(key, Account::Probe);
        }
        let Some(probe) = self.probes.open.get_mut(&ticket) else {
            return self.attempt_prepared(ticket);
        };
        if probe.stage != Stage::Preparing {
            return;
        }
        probe.stage = Stage::Ready;
        match probe.limit {
            _ if self.stopping.is_some() => self.out.push(Command::Withdraw(ticket)),
            Some(limit) if self.limits[limit].led.is_none() => {
                self.out.push(Command::Withdraw(ticket));
            }
            Some(limit) => {
                self.limits[limit].probes.push_back(ticket);
                self.pace(limit);
            }
            None => {
                probe.stage = Stage::Sent;
                self.out.push(Command::Send(ticket));
            }
        }
    }

    pub(super) fn probed(&mut self, permit: Permit) {
        let (ticket, is_ours) = (permit.ticket, self.is_ours(&permit));
        self.give_back(permit);
        if !is_ours {
            return;
        }
        let Some(probe) = self.probes.open.remove(&ticket) else { return };
        self.lanes[probe.lane].probing = false;
        self.look_soon(probe.lane);
        if let Some(limit) = probe.limit {
            match probe.stage {
                Stage::Sent => self.limits[limit].sent_ended(self.now, None),
                Stage::Preparing | Stage::Ready => {
                    self.limits[limit].probes.retain(|each| *each != ticket);
                }
            }
            self.pace(limit);
        }
    }
}
