//! Heartbeat and leases (L1-L3).

use std::time::Duration;

use postrider_domain::LimitId;

use super::state::Timer;
use super::state::limit::{Led, Pacer};
use super::{Command, Lease, Scheduler};

/// A worker waits this much for each lease it has before it tries for another one, so that
/// leases spread over workers that start together.
const MODESTY: Duration = Duration::from_millis(10);
const MODESTY_MAX: Duration = Duration::from_millis(500);
/// A limit whose claim has been open for longer than this part of a lease is not alive, and its
/// lease is left to run out (`TASK_RENEW`).
const ALIVE_PART: u32 = 2;

impl<P> Scheduler<P> {
    /// L2, also without leases: the row tells that this worker lives.
    pub(super) fn renew(&mut self) {
        if self.leases.open.is_some() {
            return;
        }
        let length = self.settings.lease / ALIVE_PART;
        let mut leases = Vec::with_capacity(self.leases.led.len());
        for limit in &self.leases.led {
            let state = &self.limits[*limit];
            let is_alive = state.asking.is_none_or(|since| self.now.since(since) < length);
            if let Some(led) = state.led.filter(|_| is_alive) {
                leases.push(led.lease);
            }
        }
        self.leases.open = Some((self.now, leases.clone()));
        self.store.asked(self.now);
        self.out.push(Command::Renew { leases });
    }

    pub(super) fn renewed(&mut self, kept: &[Lease]) {
        self.store_answered();
        self.leases.is_alive = true;
        let Some((asked_at, asked)) = self.leases.open.take() else { return };
        for lease in asked {
            let Some(limit) = self.by_limit.get(&lease.limit).copied() else { continue };
            let Some(led) = &mut self.limits[limit].led else { continue };
            if led.lease != lease {
                continue;
            }
            if kept.contains(&lease) {
                led.renewed_at = asked_at;
            } else {
                self.forget_lease(limit);
                self.look_at_limit(limit);
            }
        }
    }

    pub(super) fn renew_failed(&mut self) {
        self.store_failed();
        self.leases.open = None;
        if !self.leases.is_alive {
            self.timers.bring_forward(Timer::Tick, self.now.after(MODESTY_MAX));
        }
    }

    /// A limit that has something to do and no leader gets one, maybe us.
    pub(super) fn lead(&mut self, limit: usize, has_work: bool) {
        let state = &self.limits[limit];
        let is_free = state.led.is_none() && !state.status.leased && !state.acquiring;
        if has_work && is_free && state.is_limited() && self.stopping.is_none() {
            self.limits[limit].acquiring = true;
            let count = u32::try_from(self.leases.led.len()).unwrap_or(u32::MAX);
            let wait = MODESTY.saturating_mul(count).min(MODESTY_MAX);
            self.timers.set(Timer::Acquire(limit), self.now.after(wait));
        }
    }

    pub(super) fn try_acquire(&mut self, limit: usize) {
        let state = &mut self.limits[limit];
        if self.stopping.is_some() || !state.is_limited() || !self.store.may_ask(self.now) {
            state.acquiring = false;
            return;
        }
        // Until its answer comes, which may be that somebody else was faster.
        state.acquired_from = self.now;
        let limit = state.id();
        self.store.asked(self.now);
        self.out.push(Command::Acquire { limit });
    }

    pub(super) fn acquired(&mut self, id: LimitId, lease: Option<Lease>) {
        self.store_answered();
        let Some(limit) = self.by_limit.get(&id).copied() else { return };
        let state = &mut self.limits[limit];
        state.acquiring = false;
        let Some(lease) = lease else {
            state.status.leased = true;
            return;
        };
        let renewed_at = state.acquired_from;
        if self.stopping.is_some() || !state.is_limited() {
            self.out.push(Command::GiveUp { leases: vec![lease] });
            return;
        }
        state.led = Some(Led { lease, renewed_at });
        state.pacer = Pacer::Unclean;
        state.work = true;
        self.leases.led.insert(limit);
        let end = renewed_at.after_floor(self.settings.lease);
        self.timers.set(Timer::LeaseEnd(limit), end);
        self.find_clean(limit);
        self.look_at_limit(limit);
    }

    /// The polls say whether the limit is still free.
    pub(super) fn acquire_failed(&mut self, id: LimitId) {
        self.store_failed();
        if let Some(limit) = self.by_limit.get(&id) {
            let state = &mut self.limits[*limit];
            state.acquiring = false;
            state.status.leased = true;
        }
    }

    /// Whether a lease has run out by our own clock.
    pub(super) fn check_lease(&mut self, limit: usize) {
        let Some(led) = self.limits[limit].led else { return };
        let end = led.renewed_at.after_floor(self.settings.lease);
        if end <= self.now {
            self.forget_lease(limit);
            self.look_at_limit(limit);
        } else {
            self.timers.set(Timer::LeaseEnd(limit), end);
        }
    }

    /// The limit is not ours any more: what was not sent is given back.
    pub(super) fn forget_lease(&mut self, limit: usize) {
        let state = &mut self.limits[limit];
        if state.led.take().is_none() {
            return;
        }
        state.pacer = Pacer::Unclean;
        state.status.leased = true;
        self.leases.led.remove(&limit);
        self.withdraw_limit(limit);
    }

    pub(super) fn look_at_limit(&mut self, limit: usize) {
        for index in 0..self.limits[limit].lanes.len() {
            self.look_soon(self.limits[limit].lanes[index]);
        }
    }

    /// Leases of limits that have nothing under way, for giving them up.
    pub(super) fn take_leases(&mut self) -> Vec<Lease> {
        let mut leases = Vec::new();
        for limit in std::mem::take(&mut self.leases.led) {
            let state = &mut self.limits[limit];
            if let Some(led) = state.led.take()
                && state.sending == 0
            {
                leases.push(led.lease);
            }
        }
        leases
    }
}
