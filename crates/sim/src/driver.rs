//! A worker: a real scheduler, and around it what its driver does.

use std::collections::BTreeSet;

use postrider_domain::{DeliveryId, LaneId, Transition};
use postrider_scheduler::{Command, Event, Millis, Settings};
use postrider_store::{Claim, Recorded, UnclaimNo, WorkerId};

use crate::attempt::Probing;
use crate::call::What;
use crate::flaw::Flawed;
use crate::happening::Happening;
use crate::message::{Connection, Message, Tag};
use crate::process::{Phase, Process, Who};
use crate::trace::told;
use crate::world::World;

impl World {
    pub(crate) fn is_running(&self, who: Who) -> bool {
        let process = &self.processes[who.slot];
        process.incarnation == who.incarnation && process.brain.is_some()
    }

    fn clock_of(&self, slot: usize) -> Millis {
        Millis(self.now + self.processes[slot].clock_ahead)
    }

    /// What the process's clock says.
    pub(crate) fn worker_now(&self, who: Who) -> Millis {
        self.clock_of(who.slot)
    }

    pub(crate) fn starts(&mut self, slot: usize) {
        if self.processes[slot].brain.is_some() {
            return;
        }
        self.made += 1;
        let worker = WorkerId(uuid::Uuid::from_u128(self.made));
        let settings = Settings {
            permits: self.plan.permits,
            lease: self.plan.lease,
            poll: self.plan.poll,
            claim_margin: self.plan.margin,
            ..Settings::default()
        };
        let flaw = self.flaw;
        let incarnation = self.processes[slot].incarnation + 1;
        self.processes[slot] = Process {
            incarnation,
            worker,
            brain: Some(Flawed::new(settings, flaw)),
            wants_messages: true,
            clock_ahead: self.chance.within(0..=1_000_000),
            disturbed_at: self.now,
            ..Process::new(slot)
        };
        let who = self.processes[slot].who();
        told!(self, "{who} starts as {}", worker.0);
        self.arm(who);
        self.at(1, Happening::Connects(who));
        let janitor = self.chance.within(1..=1_000);
        self.at(janitor, Happening::Cleans(who));
    }

    /// It is gone from one moment to the next.
    pub(crate) fn dies(&mut self, who: Who, restarts_after: u64) {
        if !self.is_running(who) {
            return;
        }
        told!(self, "{who} is gone");
        let noticed_after = self.chance.within(0..=3_000);
        self.disconnects(who, noticed_after);
        let process = &mut self.processes[who.slot];
        process.brain = None;
        for (_, attempt) in std::mem::take(&mut process.attempts) {
            attempt.forfeit();
        }
        process.outcomes.clear();
        process.recording = None;
        process.pending.clear();
        self.checks.gone(who);
        self.at(restarts_after, Happening::Starts(who.slot));
    }

    /// Tells the scheduler of an event and does what it says.
    pub(crate) fn tell(&mut self, who: Who, event: Event<Claim>) {
        if !self.is_running(who) {
            return forfeit(event);
        }
        told!(self, "{who} hears {event:?}");
        let now = self.clock_of(who.slot);
        let mut commands = Vec::new();
        let (came, worker) = (claims_of(&event), self.processes[who.slot].worker);
        if let Some(brain) = &mut self.processes[who.slot].brain {
            brain.on(now, event, &mut commands);
        }
        let is_back = |command: &&Command<Claim>| matches!(command, Command::Release { .. });
        if let Some((lane, count)) = came
            && commands.iter().filter(is_back).count() >= count
            && let Some(what) = self.checks.parks.gives_back(worker, lane, self.now)
        {
            self.fail(what);
        }
        for command in commands {
            if self.is_running(who) {
                self.carry_out(who, command);
                self.count_down(who);
            } else {
                forfeit_command(command);
            }
        }
        self.arm(who);
    }

    fn count_down(&mut self, who: Who) {
        let process = &mut self.processes[who.slot];
        match process.dies_after {
            Some(0) => {
                let restarts_after = self.chance.within(100..=8_000);
                self.dies(who, restarts_after);
            }
            Some(left) => process.dies_after = Some(left - 1),
            None => {}
        }
    }

    fn arm(&mut self, who: Who) {
        if !self.is_running(who) {
            return;
        }
        let process = &mut self.processes[who.slot];
        process.wake_no += 1;
        let wake_no = process.wake_no;
        let now = self.now + process.clock_ahead;
        let Some(brain) = &mut process.brain else { return };
        if let Some(at) = brain.next_wakeup() {
            self.at(at.0.saturating_sub(now), Happening::Wakes(who, wake_no));
        }
    }

    pub(crate) fn wakes(&mut self, who: Who, wake_no: u64) {
        let now = self.now;
        let process = &mut self.processes[who.slot];
        if process.wake_no != wake_no {
            return;
        }
        process.wakes_now = match process.wakes_now {
            (at, count) if at == now => (now, count + 1),
            _ => (now, 0),
        };
        if process.wakes_now.1 > 1_000 {
            return self.fail(format!("{who} wakes up for nothing, for ever"));
        }
        self.tell(who, Event::Timeout);
        if let Some(Err(what)) = self.processes[who.slot].brain.as_ref().map(Flawed::audit) {
            self.fail(format!("{who}: {what}"));
        }
    }

    fn carry_out(&mut self, who: Who, command: Command<Claim>) {
        if !matches!(command, Command::Poll(_) | Command::Renew { .. }) {
            told!(self, "{who} is told {command:?}");
        }
        let what = match command {
            Command::Renew { leases } => What::Renew(leases, self.processes[who.slot].unclaimed),
            Command::Acquire { limit } => What::Acquire(limit),
            Command::GiveUp { leases } => What::GiveUp(leases),
            Command::Poll(which) => What::Poll(which),
            Command::ClaimFresh { batch, ids } => What::ClaimFresh(batch, ids),
            Command::ClaimAtIntake { offer, batch, ids } => match self.offers.remove(&offer) {
                Some(intake) => What::ClaimAtIntake { batch, ids, intake },
                None => return self.fail(format!("{who} claims of {offer:?}, which is none")),
            },
            Command::Decline { offer } => match self.offers.remove(&offer) {
                Some(intake) => return self.commits_soon(intake),
                None => return self.fail(format!("{who} declines {offer:?}, which is none")),
            },
            Command::ClaimDue { batch, lanes, suspect } => What::ClaimDue(batch, lanes, suspect),
            Command::ClaimLimited { batch, lease, count, interval, suspect } => {
                What::ClaimLimited { batch, lease, count, interval, suspect }
            }
            Command::Unclaim { batch, scope, live } => {
                let last = &mut self.processes[who.slot].unclaims;
                *last = UnclaimNo(last.0 + 1);
                What::Unclaim { batch, number: *last, scope, live }
            }
            Command::MakeDue { batch, ids } => What::MakeDue(batch, ids),
            Command::Ack { ids } => return self.acks(who, &ids),
            Command::Start { claim, permit, send } => return self.start(who, claim, permit, send),
            Command::Send(ticket) => return self.send(who, ticket),
            Command::Withdraw(ticket) => return self.withdraw(who, ticket),
            Command::Release { claim, due_in: after } => {
                let released = Transition::Released { after };
                return self.outcome(who, Recorded::of(&claim, released, None));
            }
            Command::Probe { lane, lease, interval, permit } => {
                return self.probe(who, permit, Probing::new(lease, interval), lane);
            }
            Command::PauseConsumer => {
                self.processes[who.slot].wants_messages = false;
                return self.disconnects(who, 1);
            }
            Command::ResumeConsumer => {
                self.processes[who.slot].wants_messages = true;
                return self.at(1, Happening::Connects(who));
            }
            Command::Stopped => return self.stopped(who),
        };
        self.call(who, what);
    }

    fn stopped(&mut self, who: Who) {
        let now = self.now;
        self.processes[who.slot].phase = Phase::Stopped(now);
        self.disconnects(who, 1);
        self.at(10_000, Happening::Exits(who));
        self.exits_if_done(who);
    }

    pub(crate) fn received(
        &mut self,
        who: Who,
        connection: Connection,
        tag: Tag,
        message: &Message,
    ) {
        let process = &mut self.processes[who.slot];
        if process.connection != Some(connection) || process.phase != Phase::Running {
            return;
        }
        let ids: BTreeSet<DeliveryId> = message.deliveries.iter().map(|(id, _)| *id).collect();
        if ids.is_empty() {
            self.at(1, Happening::Acked(connection, tag));
        } else {
            process.messages.insert(tag, ids);
        }
        let event =
            Event::Received { deliveries: message.deliveries.clone(), wake: message.wake.clone() };
        self.checks.fruitful(who);
        self.tell(who, event);
    }

    /// `SETTLE_AT_CLAIM`.
    fn acks(&mut self, who: Who, ids: &[DeliveryId]) {
        let unanswered = ids.iter().find(|id| !self.checks.is_answered(**id, &self.model));
        if let Some(id) = unanswered {
            self.fail(format!("{who} acknowledges {id}, which no committed step answered"));
        }
        let process = &mut self.processes[who.slot];
        let mut done = Vec::new();
        for (tag, left) in &mut process.messages {
            left.retain(|id| !ids.contains(id));
            if left.is_empty() {
                done.push(*tag);
            }
        }
        for tag in &done {
            process.messages.remove(tag);
        }
        let is_cut = self.now < process.queue_cut_until;
        if let Some(connection) = process.connection.filter(|_| !is_cut) {
            for tag in done {
                let wait = self.chance.within(1..=3);
                self.at(wait, Happening::Acked(connection, tag));
            }
        }
    }
}

/// How much a claim brought, and the lane of the first.
fn claims_of(event: &Event<Claim>) -> Option<(LaneId, usize)> {
    match event {
        Event::Claimed { claims, .. } => Some((claims.first()?.lane, claims.len())),
        _ => None,
    }
}

/// An event that nobody hears any more.
fn forfeit(event: Event<Claim>) {
    if let Event::AttemptEnded { permit, .. } | Event::Probed { permit } = event {
        permit.forfeit();
    }
}

fn forfeit_command(command: Command<Claim>) {
    if let Command::Start { permit, .. } | Command::Probe { permit, .. } = command {
        permit.forfeit();
    }
}
