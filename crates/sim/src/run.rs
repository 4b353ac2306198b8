//! One seed from its start to its end.

use postrider_scheduler::{CommitResult, Event};

use crate::chance::Chance;
use crate::credentials::secret_of;
use crate::fault::{Fault, any_fault};
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::world::World;

/// What happens in one seed at most.
const HAPPENINGS_MAX: u64 = 2_000_000;

/// What a seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How much happened.
    pub happenings: u64,
    /// How many requests were sent.
    pub requests: u64,
    /// What was wrong, at the first time that something was.
    pub wrong: Option<String>,
}

/// Runs a seed.
pub fn run(seed: u64, flaw: Option<Flaw>) -> Report {
    simulate(seed, flaw, false).0
}

/// Runs a seed and keeps its trace, of which the last lines are returned.
pub fn trace(seed: u64, flaw: Option<Flaw>) -> (Report, Vec<String>) {
    simulate(seed, flaw, true)
}

fn simulate(seed: u64, flaw: Option<Flaw>, is_traced: bool) -> (Report, Vec<String>) {
    let mut chance = Chance::new(seed);
    let plan = Plan::new(&mut chance);
    let event = match crate::intake::event() {
        Ok(event) => event,
        Err(error) => {
            let wrong = Some(error);
            return (Report { seed, happenings: 0, requests: 0, wrong }, Vec::new());
        }
    };
    let mut world = World::new(chance, plan, event, flaw, Trace::new(is_traced));
    world.begins();
    let happenings = world.runs();
    world.ends();
    let requests = world.checks.requests;
    let report = Report { seed, happenings, requests, wrong: world.wrong.take() };
    (report, world.trace.into_lines())
}

impl World {
    pub(crate) fn begins(&mut self) {
        for number in 0..self.plan.webhooks {
            let lane = number % self.plan.specs.len();
            self.put(number, lane, true);
        }
        for spec in self.plan.specs.clone() {
            self.model.set_secret(&secret_of(&spec));
        }
        for slot in 0..self.processes.len() {
            let wait = self.chance.mostly_small(3_000);
            self.at(wait, Happening::Starts(slot));
        }
        for slot in 0..self.ingests.len() {
            self.at(1, Happening::Ingests(slot));
        }
        for _ in 0..self.plan.faults {
            let fault = any_fault(&mut self.chance, self.plan.workers, self.plan.specs.len());
            let at = self.chance.within(0..=self.plan.storm);
            self.at(at, Happening::Fault(fault));
        }
    }

    /// Until everything has come to its end, or something is wrong; how much happened.
    fn runs(&mut self) -> u64 {
        let mut happenings = 0;
        while self.wrong.is_none() && !self.is_done() {
            let Some(what) = self.take_next() else {
                self.fail("nothing happens any more".to_owned());
                break;
            };
            if self.is_stormy && self.now >= self.plan.storm {
                self.calms();
            }
            self.happens(what);
            happenings += 1;
            self.looks_after_dead_ones();
            if self.now > self.by || happenings > HAPPENINGS_MAX {
                self.fail(self.what_is_left());
            }
        }
        if self.wrong.is_none()
            && let Some(what) = self.checks.at_the_end(&self.model)
        {
            self.fail(what);
        }
        happenings
    }

    /// Until an instant, or something is wrong.
    pub(crate) fn runs_until(&mut self, until: u64) {
        while self.wrong.is_none()
            && self.next_at().is_some_and(|at| at <= until)
            && let Some(what) = self.take_next()
        {
            self.happens(what);
        }
    }

    /// It ends before its attempts do; what was wrong.
    pub(crate) fn stops_watching(mut self) -> Option<String> {
        self.ends();
        self.wrong
    }

    fn what_is_left(&self) -> String {
        let first = self.model.rows().find(|(_, row)| row.next_at.is_some());
        format!(
            "{} deliveries and {} messages are left {} s after the storm: {first:?} {}",
            self.model.open(),
            self.queue.left(),
            (self.now - self.calm_at.min(self.now)) / 1_000,
            self.queue.first_left().unwrap_or_default(),
        )
    }

    fn happens(&mut self, what: Happening) {
        if let Some(who) = what.process() {
            if !self.is_running(who) {
                return;
            }
            let frozen_until = self.processes[who.slot].frozen_until;
            if frozen_until > self.now {
                return self.at(frozen_until - self.now, what);
            }
        }
        match what {
            Happening::Starts(slot) => self.starts(slot),
            Happening::Wakes(who, wake_no) => self.wakes(who, wake_no),
            Happening::Executes(who, id, call) => self.executes(who, id, &call),
            Happening::Answers(who, id, answer) => self.answers(who, id, answer),
            Happening::Refuses(who, id) => self.fails(who, id, CommitResult::Nothing),
            Happening::Expires(who, id) => self.fails(who, id, CommitResult::Unknown),
            Happening::RecordsAgain(who) => self.records_again(who),
            Happening::Prepared(who, ticket) => self.prepared(who, ticket),
            Happening::ProbeLate(who, ticket) => self.probe_late(who, ticket),
            Happening::Arrives(who, ticket) => self.arrives(who, ticket),
            Happening::Replies(who, ticket, answer) => self.replies(who, ticket, &answer),
            Happening::Delivered(who, connection, tag, message) => {
                self.received(who, connection, tag, &message);
            }
            Happening::Woken(who, lanes) => self.tell(who, Event::Woken(lanes)),
            Happening::Acked(connection, tag) => self.acked(connection, tag),
            Happening::ConnectionLost(connection) => self.connection_lost(connection),
            Happening::Connects(who) => self.connects(who),
            Happening::Pumps => self.pump(),
            Happening::Published(message) => self.published(message),
            Happening::Cleans(who) => self.cleans(who),
            Happening::Ingests(slot) => self.ingests(slot),
            Happening::Commits(intake) => self.commits(&intake),
            Happening::MakesDue(ids) => self.makes_due(&ids),
            Happening::Exits(who) => self.exits(who),
            Happening::Fault(fault) => {
                if self.is_stormy || matches!(fault, Fault::Clears { .. }) {
                    self.strikes(fault);
                }
            }
        }
    }

    /// Permits are nobody's any more.
    fn ends(&mut self) {
        for process in &mut self.processes {
            for (_, attempt) in std::mem::take(&mut process.attempts) {
                attempt.forfeit();
            }
        }
    }
}
