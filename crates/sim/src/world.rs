//! The world: what there is, what happens next, and one seed from its start to its end.

use std::collections::BTreeMap;
use std::rc::Rc;

use postrider_domain::{LaneId, TargetKind};
use postrider_scheduler::{CommitResult, Event, Offer, Ticket};
use postrider_store::EventDocument;

use crate::attempts::Request;
use crate::chance::Chance;
use crate::checks::Checks;
use crate::credentials::{Credentials, secret_of};
use crate::faults::{Fault, any_fault};
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::ingest::{Ingest, Intake};
use crate::model::{Micros, Model};
use crate::plan::Plan;
use crate::process::{Process, Who};
use crate::queue::Queue;
use crate::target::{Target, Weather};
use crate::trace::{Trace, told};

/// The store's clock when a world begins.
const BEGAN: Micros = 1_700_000_000_000_000;
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

/// Everything there is.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) chance: Chance,
    pub(crate) plan: Plan,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) trace: Trace,
    pub(crate) model: Model,
    pub(crate) checks: Checks,
    pub(crate) queue: Queue,
    pub(crate) processes: Vec<Process>,
    pub(crate) ingests: Vec<Ingest>,
    pub(crate) targets: BTreeMap<LaneId, Target>,
    pub(crate) credentials: Credentials,
    pub(crate) requests: BTreeMap<(Who, Ticket), Request>,
    pub(crate) event: EventDocument,
    /// Faults happen.
    pub(crate) is_stormy: bool,
    pub(crate) store_away_until: u64,
    pub(crate) slow_store_until: u64,
    pub(crate) lossy_until: u64,
    pub(crate) queue_away_until: u64,
    /// How far the store's clock is ahead of time, in milliseconds, and how far it was moved in
    /// all.
    pub(crate) store_ahead: i64,
    pub(crate) clock_moved: u64,
    /// When something happened that may cost any worker its claims.
    pub(crate) disturbed_at: u64,
    pub(crate) rows_left: usize,
    pub(crate) commits_open: u32,
    /// What workers are asked about at this instant.
    pub(crate) offers: BTreeMap<Offer, Rc<Intake>>,
    pub(crate) last_offer: u64,
    pub(crate) made: u128,
    pub(crate) last_call: u64,
    pub(crate) calm_at: u64,
    /// Everything has to have come to its end by then.
    pub(crate) by: u64,
    heap: BTreeMap<(u64, u64), Happening>,
    seq: u64,
    wrong: Option<String>,
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
    let event = match crate::ingest::event() {
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
    pub(crate) fn new(
        chance: Chance,
        plan: Plan,
        event: EventDocument,
        flaw: Option<Flaw>,
        trace: Trace,
    ) -> Self {
        let model = Model::new(BEGAN, plan.sweep_after);
        let processes = (0..plan.workers).map(Process::new).collect();
        Self {
            now: 0,
            chance,
            flaw,
            trace,
            model,
            checks: Checks::default(),
            queue: Queue::default(),
            processes,
            ingests: vec![Ingest::default(), Ingest::default()],
            targets: BTreeMap::new(),
            credentials: Credentials::default(),
            requests: BTreeMap::new(),
            event,
            is_stormy: true,
            store_away_until: 0,
            slow_store_until: 0,
            lossy_until: 0,
            queue_away_until: 0,
            store_ahead: 0,
            clock_moved: 0,
            disturbed_at: 0,
            rows_left: plan.rows,
            commits_open: 0,
            offers: BTreeMap::new(),
            last_offer: 0,
            made: 1 << 64,
            last_call: 0,
            calm_at: u64::MAX,
            by: u64::MAX,
            heap: BTreeMap::new(),
            seq: 0,
            wrong: None,
            plan,
        }
    }

    /// So many milliseconds from now.
    pub(crate) fn at(&mut self, wait: u64, what: Happening) {
        self.seq += 1;
        self.heap.insert((self.now.saturating_add(wait), self.seq), what);
    }

    /// Something is wrong. The first counts.
    pub(crate) fn fail(&mut self, what: String) {
        told!(self, "WRONG: {what}");
        self.wrong.get_or_insert(what);
    }

    /// What the store's clock says.
    pub(crate) fn db_now(&self) -> Micros {
        let elapsed = i64::try_from(self.now).unwrap_or(i64::MAX).saturating_add(self.store_ahead);
        BEGAN.saturating_add(elapsed.saturating_mul(1_000))
    }

    /// When the store's clock, as it stands now, said so.
    pub(crate) fn time_of(&self, at: Micros) -> u64 {
        u64::try_from((at - BEGAN) / 1_000 - self.store_ahead).unwrap_or(0)
    }

    pub(crate) fn target_of(&self, lane: LaneId) -> Target {
        let fine = Target { kind: TargetKind::Other, weather: Weather::Fine(30) };
        self.targets.get(&lane).copied().unwrap_or(fine)
    }

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
            let Some(((at, _), what)) = self.heap.pop_first() else {
                self.fail("nothing happens any more".to_owned());
                break;
            };
            self.now = self.now.max(at);
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
            && let Some(entry) = self.heap.first_entry()
            && entry.key().0 <= until
        {
            self.now = self.now.max(entry.key().0);
            let what = entry.remove();
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
