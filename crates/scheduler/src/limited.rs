//! Limited limits in the process that leads them: claims are asked for ahead of their tokens,
//! and a token is used when a request leaves.
//!
//! How many are asked for is [`super::state::limit`]'s matter: the tokens of the next second, while
//! the lease lasts, counted from before it was asked for. The store grants by the database's clock.
//! A claim must leave early enough for its answer to arrive within it ([`send_by`]), and a new
//! leader waits until nothing that its predecessor claimed can leave any more.

use std::time::Duration;

use super::permit::{Account, send_by};
use super::state::Timer;
use super::state::limit::{Ask, InHand, Pacer};
use super::state::limited::{Stage, Told};
use super::state::limiter::Limiter;
use super::state::steps::Step;
use super::state::trouble::Stalled;
use super::{
    Batch, ClaimedDelivery, Command, Ended, Lease, LimitRefusal, Millis, Pacing, Permit, Scheduler,
    SendWhen, Ticket,
};

/// A limit whose claim was refused is left alone for this part of the interval of polls.
const REFUSED_PART: u32 = 4;

impl<P> Scheduler<P> {
    /// Something of one of the limit's lanes may be there to be claimed.
    pub(super) fn limit_has_work(&mut self, lane: usize) {
        let Some(limit) = self.lanes[lane].limit else { return };
        self.limits[limit].work = true;
        if self.limits[limit].led.is_some() {
            self.limited.asks.insert(limit);
        } else {
            self.lead(limit, true);
        }
    }

    /// Sends what may be sent, and sees to it that the limit is looked at when more may.
    pub(super) fn pace(&mut self, limit: usize) {
        if self.stopping.is_some() {
            return;
        }
        while let Some(ticket) = self.next_to_send(limit) {
            self.limits[limit].sends(self.now);
            self.out.push(Command::Send(ticket));
        }
        let state = &self.limits[limit];
        if state.has_ready() {
            if self.trouble.is_paused(self.now) {
                self.trouble.stall(Stalled::Limit(limit));
            } else if state.is_open(self.now)
                && state.sending < state.concurrency()
                && let Some(next) = state.next_send()
            {
                self.timers.bring_forward(Timer::Pace(limit), next);
            }
        }
        self.limited.asks.insert(limit);
    }

    fn next_to_send(&mut self, limit: usize) -> Option<Ticket> {
        let is_paused = self.trouble.is_paused(self.now);
        let state = &mut self.limits[limit];
        if is_paused || !state.is_open(self.now) || !state.may_send(self.now) {
            return None;
        }
        if let Some(probe) = state.probes.pop_front() {
            self.probes.is_sent(probe);
            return Some(probe);
        }
        let ticket = state.take_ready()?;
        self.limited.told.insert(ticket, Told { limit, stage: Stage::Sent });
        Some(ticket)
    }

    /// Asks for the claims of the limits that need some.
    pub(super) fn flush_asks(&mut self) {
        if !self.may_claim() {
            return;
        }
        for limit in std::mem::take(&mut self.limited.asks) {
            self.ask(limit);
        }
    }

    fn ask(&mut self, limit: usize) {
        let capacity = self.accounts.limited_capacity(self.trouble.most());
        let state = &mut self.limits[limit];
        let Some(led) = state.led else { return };
        let runs_out = led.renewed_at.after_floor(self.settings.lease);
        if state.asking.is_some() || !state.is_open(self.now) || runs_out <= self.now {
            return;
        }
        if let Some(until) = state.full_until.filter(|until| *until > self.now) {
            self.timers.bring_forward(Timer::Pace(limit), until);
            return;
        }
        state.full_until = None;
        let suspect = std::mem::take(&mut state.is_suspect);
        if !state.work && !suspect {
            return;
        }
        match state.ask(self.now) {
            Ask::Now(_) if capacity == 0 => {
                self.limited.asks.insert(limit);
            }
            Ask::Now(_) if suspect => self.claim_limited(limit, led.lease, 1, true),
            Ask::Now(count) => self.claim_limited(limit, led.lease, count.min(capacity), false),
            Ask::At(at) => {
                self.limits[limit].is_suspect = suspect;
                self.timers.bring_forward(Timer::Pace(limit), at);
            }
            Ask::Later => self.limits[limit].is_suspect = suspect,
        }
    }

    fn claim_limited(&mut self, limit: usize, lease: Lease, count: u32, suspect: bool) {
        let permits = (0..count).map(|_| self.grant_limited(limit)).collect();
        let state = &mut self.limits[limit];
        state.asking = Some(self.now);
        state.asked = count;
        if !suspect {
            state.work = false;
        }
        let interval = state.interval();
        let step = Step::Limited { asked_at: self.now, limit, lease, permits, suspect };
        let batch = self.steps.open(step);
        self.store.asked(self.now);
        self.out.push(Command::ClaimLimited { batch, lease, count, interval, suspect });
    }

    /// A leader's claim was committed.
    pub(super) fn limited_claimed(
        &mut self,
        (limit, lease): (usize, Lease),
        asked_at: Millis,
        permits: Vec<Permit>,
        suspect: bool,
        claims: Vec<ClaimedDelivery<P>>,
    ) {
        let state = &mut self.limits[limit];
        state.asking = None;
        state.asked = 0;
        let mut has_more = !suspect && claims.len() >= permits.len();
        let is_led = state.led.is_some_and(|led| led.lease == lease);
        let mut permits = permits.into_iter();
        for claim in claims {
            self.ids.lives(claim.key, Account::Limited);
            self.timeout_seen(claim.timeout);
            let lane = self.lane(claim.lane);
            let is_open = self.is_open(lane);
            if !is_open {
                has_more = false;
                self.came_closed(lane);
            }
            let may_send = is_led && self.stopping.is_none() && is_open;
            match permits.next() {
                Some(permit) if may_send => self.take_in_hand(limit, lane, permit, claim, asked_at),
                other => {
                    if let Some(permit) = other {
                        self.give_back(permit);
                    }
                    self.release(claim.payload, Duration::ZERO);
                }
            }
        }
        self.give_back_all(permits);
        self.limits[limit].work |= has_more;
        self.pace(limit);
    }

    fn take_in_hand(
        &mut self,
        limit: usize,
        lane: usize,
        mut permit: Permit,
        claim: ClaimedDelivery<P>,
        asked_at: Millis,
    ) {
        let send_by = send_by(asked_at, claim.length, claim.timeout);
        permit.lane = lane;
        permit.lane_id = claim.lane;
        permit.stop = self.lanes[lane].stop.clone();
        permit.send_by = send_by;
        self.limits[limit].in_hand.insert(permit.ticket, InHand { lane, send_by });
        self.limited.told.insert(permit.ticket, Told { limit, stage: Stage::InHand });
        self.timers.arm(Timer::LateInHand(limit), Millis(send_by.0.saturating_add(1)));
        let permit = permit.owed();
        self.out.push(Command::Start { claim: claim.payload, permit, send: SendWhen::Told });
    }

    /// The store refused a leader's claim.
    pub(super) fn limit_refused(&mut self, batch: Batch, why: LimitRefusal) {
        self.store_answered();
        let Some(Step::Limited { limit, permits, .. }) = self.steps.close(batch) else {
            debug_assert!(false, "no claim of a limit has {batch:?}");
            return;
        };
        self.give_back_all(permits);
        let state = &mut self.limits[limit];
        state.asking = None;
        state.asked = 0;
        match why {
            LimitRefusal::OldClaims => {
                state.pacer = Pacer::Unclean;
                state.work = true;
            }
            LimitRefusal::HourFull { frees_in } => {
                let until = self.now.after(frees_in);
                state.full_until = Some(until);
                state.work = true;
                self.timers.bring_forward(Timer::Pace(limit), until);
            }
            LimitRefusal::NotPermitted => {
                // The poll will say whether there still is something for us to claim; where it and
                // the claim don't agree, as for a lease that ran out by the store's clock alone,
                // they don't chase each other.
                state.work = false;
                state.full_until = Some(self.now.after(self.settings.poll / REFUSED_PART));
                self.look_at_limit(limit);
            }
        }
    }

    /// An attempt of a limited limit came to its end, sent or not.
    pub(super) fn limited_ended(&mut self, permit: Permit, ended: &Ended<P>) {
        let told = self.limited.told.remove(&permit.ticket);
        let ticket = permit.ticket;
        self.give_back(permit);
        let Some(Told { limit, stage }) = told else { return };
        match stage {
            Stage::Sent => {
                let took = match ended {
                    Ended::Answered { took, .. } => Some(*took),
                    Ended::Silent { .. }
                    | Ended::NotRequested { .. }
                    | Ended::Unsent { .. }
                    | Ended::Panicked => None,
                };
                self.limits[limit].sent_ended(self.now, took);
            }
            Stage::InHand => {
                self.limits[limit].ready.remove(&ticket);
                self.limits[limit].in_hand.remove(&ticket);
            }
            Stage::Withdrawn => {}
        }
        self.pace(limit);
    }

    /// An attempt has its request ready.
    pub(super) fn attempt_prepared(&mut self, ticket: Ticket) {
        let Some(Told { limit, stage: Stage::InHand }) = self.limited.told.get(&ticket).copied()
        else {
            return;
        };
        self.limits[limit].ready.insert(ticket);
        self.pace(limit);
    }

    /// What of the lane was started and not sent is not sent.
    pub(super) fn withdraw_lane(&mut self, lane: usize) {
        let Some(limit) = self.lanes[lane].limit else { return };
        let of_lane = |(ticket, held): (&Ticket, &InHand)| (held.lane == lane).then_some(*ticket);
        let tickets: Vec<Ticket> = self.limits[limit].in_hand.iter().filter_map(of_lane).collect();
        self.withdraw(limit, &tickets);
    }

    /// Nothing of the limit that was started and not sent is sent.
    pub(super) fn withdraw_limit(&mut self, limit: usize) {
        for probe in std::mem::take(&mut self.limits[limit].probes) {
            self.out.push(Command::Withdraw(probe));
        }
        let tickets: Vec<Ticket> = self.limits[limit].in_hand.keys().copied().collect();
        self.withdraw(limit, &tickets);
    }

    /// What waited too long for its token is not sent.
    pub(super) fn withdraw_late(&mut self, limit: usize) {
        let late: Vec<Ticket> = self.limits[limit]
            .in_hand
            .iter()
            .take_while(|(_, held)| held.send_by < self.now)
            .map(|(ticket, _)| *ticket)
            .collect();
        self.withdraw(limit, &late);
        if !late.is_empty() {
            // They are due again once they are released.
            self.limits[limit].work = true;
            self.limited.asks.insert(limit);
        }
        if let Some((_, oldest)) = self.limits[limit].in_hand.first_key_value() {
            let late = Millis(oldest.send_by.0.saturating_add(1));
            self.timers.arm(Timer::LateInHand(limit), late.max(Millis(self.now.0 + 1)));
        }
    }

    fn withdraw(&mut self, limit: usize, tickets: &[Ticket]) {
        for ticket in tickets {
            self.limits[limit].in_hand.remove(ticket);
            self.limits[limit].ready.remove(ticket);
            self.limited.told.insert(*ticket, Told { limit, stage: Stage::Withdrawn });
            self.out.push(Command::Withdraw(*ticket));
        }
    }

    /// The limiter starts at the first poll of a leader that saw no claim of another epoch
    /// (`AFTER_CLAIMS`): an interval later, which is safe because nothing was sent since, or
    /// when the last leader's slots and its claims' margin are over, if that is sooner.
    pub(super) fn find_clean(&mut self, limit: usize) {
        let state = &mut self.limits[limit];
        let Some(led) = state.led else { return };
        if state.pacer.is_clean() || state.status.clean != Some(led.lease.epoch) {
            return;
        }
        let slots_over = state.status.next_send_in.saturating_add(self.settings.claim_margin);
        let wait = state.interval().min(slots_over);
        self.start_limiter(limit, wait);
    }

    /// Other terms: the limiter starts anew, an interval from now.
    pub(super) fn restart_limiter(&mut self, limit: usize) {
        if self.limits[limit].pacer.is_clean() {
            let wait = self.limits[limit].interval();
            self.start_limiter(limit, wait);
        }
    }

    fn start_limiter(&mut self, limit: usize, wait: Duration) {
        let start = self.now.after(wait);
        let state = &mut self.limits[limit];
        state.pacer = match state.status.terms.pacing {
            Pacing::Unlimited => Pacer::Unclean,
            Pacing::Limited { pace: None } => Pacer::Free,
            Pacing::Limited { pace: Some(pace) } => Pacer::Paced(Limiter::starting(pace, start)),
        };
        state.not_before = start;
        self.pace(limit);
    }
}
