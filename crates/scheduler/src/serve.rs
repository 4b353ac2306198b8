//! Who is served next: each visit of a lane grants permits for claims, and the claims of all
//! lanes are asked for together.

use postrider_domain::{DeliveryId, LaneId};

use super::state::Timer;
use super::state::ids::IdState;
use super::state::ring::Rings;
use super::state::serving::{BATCH_MAX, Serving};
use super::state::standing::Class;
use super::state::steps::{Asked, Step};
use super::{Command, LaneShare, Millis, Permit, Scheduler};

/// Claims of a kind under way at once.
const OPEN_MAX: u32 = 2;
/// How long a batch is filled while another one is under way.
const FILL_MS: u64 = 2;

impl<P> Scheduler<P> {
    /// Messages brought deliveries and lanes to look at.
    pub(super) fn received(&mut self, deliveries: Vec<(DeliveryId, LaneId)>, wake: &[LaneId]) {
        if self.stopping.is_some() {
            return;
        }
        let mut answered = Vec::new();
        for (id, lane) in deliveries {
            match self.ids.get(id) {
                None => self.wait(id, lane),
                // A claim of it is committed: the message can do nothing more for it.
                Some(IdState::Live(..)) => answered.push(id),
                Some(IdState::Waiting | IdState::Asked | IdState::Leaving) => {}
            }
        }
        self.ack(answered);
        self.woken(wake);
    }

    fn wait(&mut self, id: DeliveryId, lane: LaneId) {
        let lane = self.lane(lane);
        self.watch(lane);
        if self.is_limited(lane) || !self.is_open(lane) {
            self.leave(id, lane);
            return;
        }
        self.ids.set(id, IdState::Waiting);
        let state = &mut self.lanes[lane];
        if state.waiting.is_empty() {
            state.progress_at = self.now;
            self.watch_progress(lane);
        }
        self.lanes[lane].waiting.push_back(id);
        self.enqueue(lane);
    }

    pub(super) fn ack(&mut self, ids: Vec<DeliveryId>) {
        if !ids.is_empty() {
            self.out.push(Command::Ack { ids });
        }
    }

    /// Something was committed for lanes.
    pub(super) fn woken(&mut self, lanes: &[LaneId]) {
        for id in lanes {
            let lane = self.lane(*id);
            self.wake_lane(lane);
        }
    }

    /// Something of the lane may be due.
    pub(super) fn wake_lane(&mut self, lane: usize) {
        self.watch(lane);
        self.lanes[lane].open = true;
        if self.is_shut_to_leader(lane) {
            return;
        }
        self.lanes[lane].due = true;
        if self.is_limited(lane) {
            self.lanes[lane].due = false;
            self.limit_has_work(lane);
        } else {
            self.enqueue(lane);
        }
    }

    /// A lane that wants something, and may have it, gets in line.
    pub(super) fn enqueue(&mut self, lane: usize) {
        // Until it was polled nobody knows whose concurrency it shares.
        let is_known = self.lanes[lane].limit.is_some();
        let may_be = self.stopping.is_none() && is_known && !self.is_limited(lane);
        if !may_be || !self.is_open(lane) {
            return;
        }
        let state = &self.lanes[lane];
        if state.parked_at_host || state.parked_at_limit {
            return;
        }
        let class = state.class();
        if !state.waiting.is_empty() {
            self.serving.fresh.push(class, lane);
        }
        if state.due && !state.due_open {
            self.serving.due.push(class, lane);
        }
    }

    /// Grants what can be granted and asks for it.
    pub(super) fn flush_claims(&mut self) {
        if !self.may_claim() {
            return;
        }
        // First: what is due opens a claim of its lane, and a suspect is claimed alone.
        self.ask_suspect();
        loop {
            self.serve();
            let has_asked = self.ask_fresh() | self.ask_due();
            if !has_asked {
                break;
            }
        }
    }

    /// Whether claims may be asked for at all.
    pub(super) fn may_claim(&self) -> bool {
        self.store.may_ask(self.now) && !self.trouble.is_paused(self.now) && self.unclaims.is_idle()
    }

    /// Visits lanes until nobody who wants something can have it. Each visit grants something or
    /// takes the lane out of its ring.
    fn serve(&mut self) {
        loop {
            let fresh = !self.serving.is_full(false) && self.serve_fresh();
            let due = !self.serving.is_full(true) && self.serve_due();
            if !fresh && !due {
                return;
            }
        }
    }

    fn serve_fresh(&mut self) -> bool {
        let Some(lane) = self.next_of(|serving| &mut serving.fresh) else { return false };
        let host = self.lanes[lane].host;
        let batch_capacity = BATCH_MAX - self.serving.fresh_batch.len();
        let wanted = self.lanes[lane].waiting.len();
        let capacity = self.capacity(lane, wanted) as usize;
        let granted = self.grant_fresh(lane, capacity.min(batch_capacity));
        if granted > 0 {
            self.lanes[lane].progress_at = self.now;
            self.enqueue(lane);
        } else {
            self.wake_at_host(host);
        }
        true
    }

    /// Moves up to `most` waiting deliveries into the batch; how many.
    fn grant_fresh(&mut self, lane: usize, most: usize) -> usize {
        let mut granted = 0;
        let mut answered = Vec::new();
        while granted < most
            && let Some(id) = self.lanes[lane].waiting.pop_front()
        {
            match self.ids.get(id) {
                Some(IdState::Waiting) => {}
                // It was claimed out of the store meanwhile, and perhaps recorded as well.
                Some(IdState::Live(..)) | None => {
                    answered.push(id);
                    continue;
                }
                Some(IdState::Asked | IdState::Leaving) => continue,
            }
            self.ids.set(id, IdState::Asked);
            let permit = self.grant(lane);
            if self.serving.fresh_batch.is_empty() {
                self.serving.fresh_since = self.now;
            }
            self.serving.fresh_batch.push(Asked { id, lane, permit });
            granted += 1;
        }
        self.ack(answered);
        granted
    }

    fn serve_due(&mut self) -> bool {
        let Some(lane) = self.next_of(|serving| &mut serving.due) else { return false };
        let host = self.lanes[lane].host;
        if !self.lanes[lane].due || self.lanes[lane].due_open {
            return true;
        }
        let mut count = 0;
        let share = self.lanes[lane]
            .due_share()
            .min(u32::try_from(BATCH_MAX - self.serving.due_rows).unwrap_or(u32::MAX));
        let mut permits = Vec::new();
        while count < share {
            let capacity = self.capacity(lane, usize::MAX).min(share - count);
            if capacity == 0 {
                break;
            }
            permits.extend((0..capacity).map(|_| self.grant(lane)));
            count += capacity;
        }
        if permits.is_empty() {
            self.wake_at_host(host);
            return true;
        }
        self.lanes[lane].due = false;
        self.lanes[lane].due_open = true;
        if self.serving.due_batch.is_empty() {
            self.serving.due_since = self.now;
        }
        self.serving.due_rows += permits.len();
        self.serving.due_batch.push((lane, permits));
        true
    }

    /// The lane that is served next, if the budget of its class has capacity.
    fn next_of(&mut self, rings: impl Fn(&mut Serving) -> &mut Rings) -> Option<usize> {
        Class::ALL.into_iter().find_map(|class| {
            let has_capacity = self.class_capacity(class) > 0;
            has_capacity.then(|| rings(&mut self.serving).pop(class)).flatten()
        })
    }

    fn is_filled(&mut self, is_full: bool, open: u32, since: Millis) -> bool {
        if open >= OPEN_MAX {
            return false;
        }
        let ready_at = Millis(since.0 + FILL_MS);
        if is_full || open == 0 || ready_at <= self.now {
            return true;
        }
        self.timers.bring_forward(Timer::Gathered, ready_at);
        false
    }

    fn ask_fresh(&mut self) -> bool {
        let count = self.serving.fresh_batch.len();
        let (open, since) = (self.steps.fresh, self.serving.fresh_since);
        if count == 0 || !self.is_filled(count >= BATCH_MAX, open, since) {
            return false;
        }
        let asked = std::mem::take(&mut self.serving.fresh_batch);
        let ids = asked.iter().map(|asked| asked.id).collect();
        let batch = self.steps.open(Step::Fresh { asked_at: self.now, asked });
        self.store.asked(self.now);
        self.out.push(Command::ClaimFresh { batch, ids });
        true
    }

    fn ask_due(&mut self) -> bool {
        let is_full = self.serving.is_full(true);
        let (open, since) = (self.steps.due, self.serving.due_since);
        if self.serving.due_batch.is_empty() || !self.is_filled(is_full, open, since) {
            return false;
        }
        let lanes = std::mem::take(&mut self.serving.due_batch);
        self.serving.due_rows = 0;
        self.claim_due(lanes, false);
        true
    }

    fn claim_due(&mut self, lanes: Vec<(usize, Vec<Permit>)>, suspect: bool) {
        let share = |(lane, permits): &(usize, Vec<Permit>)| LaneShare {
            lane: self.lanes[*lane].id,
            limit: u32::try_from(permits.len()).unwrap_or(u32::MAX),
        };
        let shares = lanes.iter().map(share).collect();
        let batch = self.steps.open(Step::Due { asked_at: self.now, lanes, suspect });
        self.store.asked(self.now);
        self.out.push(Command::ClaimDue { batch, lanes: shares, suspect });
    }

    /// One at a time over all lanes: what lost three claims may take the process down.
    fn ask_suspect(&mut self) {
        if self.steps.suspects > 0 {
            return;
        }
        for _ in 0..self.serving.suspects.len() {
            let Some(lane) = self.serving.suspects.pop_front() else { return };
            if self.lanes[lane].due_open {
                self.serving.suspects.push_back(lane);
                continue;
            }
            self.lanes[lane].is_suspect = false;
            if !self.is_limited(lane) && self.is_open(lane) && self.capacity(lane, 1) > 0 {
                let permit = self.grant(lane);
                self.lanes[lane].due_open = true;
                self.claim_due(vec![(lane, vec![permit])], true);
                return;
            }
        }
    }

    /// Nothing more is claimed: what was gathered is let go.
    pub(super) fn let_go_gathered(&mut self) {
        for asked in std::mem::take(&mut self.serving.fresh_batch) {
            self.ids.forget(asked.id);
            self.give_back(asked.permit);
        }
        for (_, permits) in std::mem::take(&mut self.serving.due_batch) {
            for permit in permits {
                self.give_back(permit);
            }
        }
        self.serving.due_rows = 0;
    }
}
