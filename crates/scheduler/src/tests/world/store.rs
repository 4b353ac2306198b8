//! The store in memory.

use std::sync::Arc;

use super::*;

impl World {
    pub(super) fn execute(&mut self, command: Told) -> Heard {
        let is_claim = matches!(
            command,
            Command::ClaimFresh { .. } | Command::ClaimDue { .. } | Command::ClaimLimited { .. }
        );
        if self.store_away {
            return failed(command, CommitResult::Nothing);
        }
        if is_claim && self.claims_unknown {
            // It did commit, and nobody will say so.
            let batch = batch_of(&command);
            self.execute_step(command);
            return Event::ClaimFailed { batch, commit: CommitResult::Unknown };
        }
        self.execute_step(command)
    }

    fn execute_step(&mut self, command: Told) -> Heard {
        match command {
            Command::Renew { leases } => self.renew(leases),
            Command::Acquire { limit } => self.acquire(limit),
            Command::Poll(which) => self.poll(&which),
            Command::ClaimFresh { batch, ids } => self.claim_fresh(batch, &ids),
            Command::ClaimDue { batch, lanes, suspect } => self.claim_due(batch, &lanes, suspect),
            Command::ClaimLimited { batch, lease, count, interval, suspect } => {
                self.claims += 1;
                self.claim_limited(batch, lease, count, interval, suspect)
            }
            Command::Unclaim { batch, scope, live } => self.unclaim(batch, &scope, live),
            Command::MakeDue { batch, ids } => self.make_due(batch, ids),
            other => unreachable!("{other:?} is no step"),
        }
    }

    fn renew(&mut self, leases: Vec<Lease>) -> Heard {
        let now = self.now;
        let kept = leases.into_iter().filter(|lease| {
            let limit = self.limits.get_mut(&lease.limit).unwrap();
            let is_ours = limit.epoch == lease.epoch;
            if is_ours {
                limit.leased_until = now + 10_000;
            }
            is_ours
        });
        Event::Renewed { leases: kept.collect() }
    }

    fn acquire(&mut self, limit: LimitId) -> Heard {
        let state = self.limits.get_mut(&limit).unwrap();
        let lease = (state.leased_until <= self.now).then(|| {
            state.epoch += 1;
            state.leased_until = self.now + 10_000;
            Lease { limit, epoch: state.epoch }
        });
        Event::Acquired { limit, lease }
    }

    fn claim_fresh(&mut self, batch: Batch, ids: &[DeliveryId]) -> Heard {
        self.claims += 1;
        let claims = ids.iter().filter_map(|id| {
            let row = self.rows[id];
            let is_limited = self.is_limited(row.lane);
            let is_fresh = row.claim_no == 0 && row.state == State::Waiting;
            if is_fresh && !is_limited && self.is_open(row.lane) {
                return Some(self.claim(*id, 0));
            }
            if is_fresh {
                self.rows.get_mut(id).unwrap().next_at = self.now;
            }
            None
        });
        Event::Claimed { batch, claims: claims.collect() }
    }

    fn claim_due(&mut self, batch: Batch, lanes: &[LaneShare], suspect: bool) -> Heard {
        self.claims += 1;
        let mut claims = Vec::new();
        for share in lanes.iter().filter(|_| !suspect) {
            let is_free = self.is_open(share.lane) && !self.is_limited(share.lane);
            let ids = self.waiting(share.lane, |row, now| row.next_at <= now);
            for id in ids.into_iter().take(share.limit as usize).filter(|_| is_free) {
                claims.push(self.claim(id, 0));
            }
        }
        Event::Claimed { batch, claims }
    }

    fn unclaim(&mut self, batch: Batch, scope: &Scope, live: Vec<ClaimKey>) -> Heard {
        let live: BTreeSet<ClaimKey> = live.into_iter().collect();
        for (id, row) in &mut self.rows {
            let key = ClaimKey { id: *id, claim_no: ClaimNo(row.claim_no) };
            let limit = self.lanes[&row.lane].limit;
            let is_meant = match scope {
                Scope::Fresh(ids) => ids.contains(id),
                Scope::Due(lanes) => lanes.contains(&row.lane),
                Scope::Limited(lease) => lease.limit == limit && lease.epoch == row.epoch,
            };
            if is_meant && row.state == State::Sending && !live.contains(&key) {
                row.state = State::Waiting;
                row.next_at = self.now;
            }
        }
        Event::Unclaimed { batch }
    }

    fn make_due(&mut self, batch: Batch, ids: Vec<DeliveryId>) -> Heard {
        self.made_due += u32::try_from(ids.len()).unwrap();
        for id in ids {
            let row = self.rows.get_mut(&id).unwrap();
            if row.claim_no == 0 {
                row.next_at = row.next_at.min(self.now);
            }
        }
        Event::MadeDue { batch }
    }

    pub(super) fn is_open(&self, lane: LaneId) -> bool {
        let state = &self.lanes[&lane];
        !state.held && self.limits[&state.limit].paused_until <= self.now
    }

    fn is_limited(&self, lane: LaneId) -> bool {
        self.limits[&self.lanes[&lane].limit].terms.pacing != Pacing::Unlimited
    }

    fn waiting(&self, lane: LaneId, takes: impl Fn(&Row, u64) -> bool) -> Vec<DeliveryId> {
        let of_lane = |row: &Row| row.lane == lane && row.state == State::Waiting;
        let found = self.rows.iter().filter(|(_, row)| of_lane(row) && takes(row, self.now));
        found.map(|(id, _)| *id).collect()
    }

    fn claim(&mut self, id: DeliveryId, epoch: i64) -> ClaimedDelivery<Payload> {
        let length = self.timeout + 6_000;
        let row = self.rows.get_mut(&id).unwrap();
        row.state = State::Sending;
        row.claim_no += 1;
        row.epoch = epoch;
        row.until = self.now + length;
        let key = ClaimKey { id, claim_no: ClaimNo(row.claim_no) };
        ClaimedDelivery {
            key,
            lane: row.lane,
            length: Duration::from_millis(length),
            timeout: Duration::from_millis(self.timeout),
            payload: (key, row.lane),
        }
    }

    fn claim_limited(
        &mut self,
        batch: Batch,
        lease: Lease,
        count: u32,
        interval: Duration,
        suspect: bool,
    ) -> Heard {
        let state = self.limits[&lease.limit].clone();
        if state.epoch != lease.epoch || state.leased_until <= self.now {
            return Event::LimitRefused { batch, why: LimitRefusal::NotPermitted };
        }
        let of_limit =
            |(id, lane): (&LaneId, &StoreLane)| lane.limit == lease.limit && self.is_open(*id);
        if !self.lanes.iter().any(of_limit) {
            return Event::LimitRefused { batch, why: LimitRefusal::NotPermitted };
        }
        if self.runs_under_another_epoch(lease.limit, lease.epoch) {
            return Event::LimitRefused { batch, why: LimitRefusal::OldClaims };
        }
        if state.budget == Some(0) {
            let frees_in = Duration::from_millis(state.frees_at.saturating_sub(self.now));
            return Event::LimitRefused { batch, why: LimitRefusal::HourFull { frees_in } };
        }
        let lanes: Vec<LaneId> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.limit == lease.limit)
            .map(|(id, _)| *id)
            .collect();
        let mut ids: Vec<DeliveryId> = lanes
            .iter()
            .filter(|lane| self.is_open(**lane) && !suspect)
            .flat_map(|lane| {
                self.waiting(*lane, |row, now| row.claim_no == 0 || row.next_at <= now)
            })
            .collect();
        ids.sort_unstable();
        ids.truncate(state.budget.map_or(count, |budget| budget.min(count)) as usize);
        let claims: Vec<_> = ids.into_iter().map(|id| self.claim(id, lease.epoch)).collect();
        let state = self.limits.get_mut(&lease.limit).unwrap();
        let got = u32::try_from(claims.len()).unwrap();
        state.budget = state.budget.map(|budget| budget - got);
        let slots = u64::try_from((interval * got).as_millis()).unwrap();
        state.next_send_at = state.next_send_at.max(self.now) + slots;
        Event::Claimed { batch, claims }
    }

    pub(super) fn committed(&mut self, key: ClaimKey, lane: LaneId, came: Came) {
        let row = self.rows.get_mut(&key.id).unwrap();
        if row.state == State::Sending && row.claim_no == key.claim_no.0 {
            (row.state, row.next_at) = (State::Waiting, self.now);
            match came {
                Came::Back(due_at) => row.next_at = due_at,
                Came::To(Target::Answers(_)) => row.state = State::Done,
                Came::To(Target::Fails(_, after)) => row.next_at = self.now + after,
                Came::To(Target::Hangs | Target::Refuses) => row.next_at = self.now + 60_000,
                Came::To(Target::Rejects) => self.lanes.get_mut(&lane).unwrap().held = true,
                Came::To(Target::Limits(pause)) => {
                    let limit = self.lanes[&lane].limit;
                    self.limits.get_mut(&limit).unwrap().paused_until = self.now + pause;
                }
            }
        }
        let is_refusal = matches!(came, Came::To(Target::Rejects | Target::Limits(_)));
        let closed = if is_refusal { vec![lane] } else { Vec::new() };
        let event = Event::Recorded { claims: vec![key], closed };
        self.at(self.now + self.rtt, Happens::Heard(event));
    }

    /// How many deliveries are claimed, and no outcome is recorded.
    pub(crate) fn claimed(&self) -> usize {
        self.rows.values().filter(|row| row.state == State::Sending).count()
    }

    fn runs_under_another_epoch(&self, limit: LimitId, epoch: i64) -> bool {
        self.rows.values().any(|row| {
            row.state == State::Sending
                && self.lanes[&row.lane].limit == limit
                && row.epoch != epoch
                && row.until > self.now
        })
    }

    /// The janitor: claims that ran out are given back.
    fn expire(&mut self) {
        for row in self.rows.values_mut() {
            if row.state == State::Sending && row.until <= self.now {
                row.state = State::Waiting;
                row.next_at = self.now;
            }
        }
    }

    fn poll(&mut self, which: &Which) -> Heard {
        self.expire();
        self.polls += 1;
        let ids: Vec<LaneId> = match which {
            Which::Those(ids) => ids.clone(),
            Which::Page { after } => {
                self.lanes.keys().filter(|id| Some(**id) > *after).copied().collect()
            }
        };
        assert!(ids.len() <= 1_000, "a page of {}", ids.len());
        let lanes = ids.iter().filter(|id| self.lanes.contains_key(id)).map(|id| self.status(*id));
        Event::Polled { lanes: lanes.collect(), next: None }
    }

    fn status(&self, id: LaneId) -> LaneStatus {
        let lane = &self.lanes[&id];
        let limit = &self.limits[&lane.limit];
        let is_limited = self.is_limited(id);
        let due =
            self.waiting(id, |row, now| row.next_at <= now || (is_limited && row.claim_no == 0));
        let is_probed = lane.probe_due || lane.probe_at.is_some_and(|at| at <= self.now);
        let hold = match (lane.held, is_probed) {
            (false, false) => Hold::Open,
            (false, true) => Hold::OpenProbeDue,
            (true, false) => Hold::Held,
            (true, true) => Hold::ProbeDue,
        };
        let left = |until: u64| until.checked_sub(self.now).map(Duration::from_millis);
        let is_clean = !self.runs_under_another_epoch(lane.limit, limit.epoch);
        LaneStatus {
            lane: id,
            host: Arc::from(lane.host.as_str()),
            hold,
            due: !due.is_empty(),
            open: self.rows.values().any(|row| row.lane == id && row.state != State::Done),
            probe_in: lane.probe_at.and_then(left).filter(|left| !left.is_zero()),
            limit: LimitStatus {
                id: lane.limit,
                terms: limit.terms,
                leased: limit.leased_until > self.now,
                paused_for: left(limit.paused_until).filter(|left| !left.is_zero()),
                clean: is_clean.then_some(limit.epoch),
                next_send_in: left(limit.next_send_at).unwrap_or_default(),
            },
        }
    }
}

fn batch_of(command: &Told) -> Batch {
    match command {
        Command::ClaimFresh { batch, .. }
        | Command::ClaimDue { batch, .. }
        | Command::ClaimLimited { batch, .. }
        | Command::Unclaim { batch, .. }
        | Command::MakeDue { batch, .. } => *batch,
        other => unreachable!("{other:?} has no batch"),
    }
}

fn failed(command: Told, commit: CommitResult) -> Heard {
    match command {
        Command::Renew { .. } => Event::RenewFailed,
        Command::Acquire { limit } => Event::AcquireFailed { limit },
        Command::Poll(_) => Event::PollFailed,
        Command::Unclaim { batch, .. } => Event::UnclaimFailed { batch },
        Command::MakeDue { batch, .. } => Event::MakeDueFailed { batch },
        claim => Event::ClaimFailed { batch: batch_of(&claim), commit },
    }
}
