//! The world: what there is, and what happens next.

use std::collections::BTreeMap;
use std::rc::Rc;

use postrider_domain::{LaneId, TargetKind};
use postrider_scheduler::{Offer, Ticket};
use postrider_store::EventDocument;

use crate::attempt::Request;
use crate::chance::Chance;
use crate::checks::Checks;
use crate::credentials::Credentials;
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::intake::{Ingest, Intake};
use crate::model::{Micros, Model};
use crate::plan::Plan;
use crate::process::{Process, Who};
use crate::queue::Queue;
use crate::target::{Target, Weather};
use crate::trace::{Trace, told};

/// The store's clock when a world begins.
const BEGAN: Micros = 1_700_000_000_000_000;
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
    /// What was wrong first.
    pub(crate) wrong: Option<String>,
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

    /// When something happens next.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.first_key_value().map(|((at, _), _)| *at)
    }

    /// What happens next; it is that late now.
    pub(crate) fn take_next(&mut self) -> Option<Happening> {
        let ((at, _), what) = self.heap.pop_first()?;
        self.now = self.now.max(at);
        Some(what)
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
}
