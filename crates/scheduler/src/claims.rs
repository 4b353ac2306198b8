//! What claims bring, and what failed ones leave behind.

use std::collections::HashMap;
use std::time::Duration;

use postrider_domain::DeliveryId;

use super::permit::{Account, send_by};
use super::state::ids::IdState;
use super::state::lane::GrantedClaim;
use super::state::steps::{Asked, Step};
use super::state::unclaims::Undo;
use super::{Batch, ClaimedDelivery, Command, CommitResult, Millis, Permit, Scheduler};

impl<P> Scheduler<P> {
    /// A claim was committed.
    pub(super) fn claimed(&mut self, batch: Batch, claims: Vec<ClaimedDelivery<P>>) {
        self.store_answered();
        match self.steps.close(batch) {
            Some(Step::Fresh { asked_at, asked }) => self.fresh_claimed(asked_at, asked, claims),
            Some(Step::Due { asked_at, lanes, suspect }) => {
                self.due_claimed(asked_at, lanes, suspect, claims);
            }
            Some(Step::Limited { asked_at, limit, lease, permits, suspect }) => {
                self.limited_claimed((limit, lease), asked_at, permits, suspect, claims);
            }
            Some(Step::Unclaim(_) | Step::MakeDue { .. }) | None => {
                debug_assert!(false, "no claim has {batch:?}");
                for claim in claims {
                    self.ids.lives(claim.key, Account::Shared);
                    self.release(claim.payload, Duration::ZERO);
                }
            }
        }
    }

    fn fresh_claimed(
        &mut self,
        asked_at: Millis,
        asked: Vec<Asked>,
        claims: Vec<ClaimedDelivery<P>>,
    ) {
        let answered: Vec<DeliveryId> = asked.iter().map(|asked| asked.id).collect();
        let mut permits: HashMap<DeliveryId, Permit> =
            asked.into_iter().map(|asked| (asked.id, asked.permit)).collect();
        for claim in claims {
            let permit = permits.remove(&claim.key.id);
            self.hold(claim, permit, asked_at);
        }
        for id in &answered {
            if let Some(permit) = permits.remove(id) {
                self.ids.forget(*id);
                self.give_back(permit);
            }
        }
        self.ack(answered);
    }

    fn due_claimed(
        &mut self,
        asked_at: Millis,
        lanes: Vec<(usize, Vec<Permit>)>,
        suspect: bool,
        claims: Vec<ClaimedDelivery<P>>,
    ) {
        let mut by_lane: HashMap<usize, Vec<ClaimedDelivery<P>>> = HashMap::new();
        for claim in claims {
            let lane = self.lane(claim.lane);
            by_lane.entry(lane).or_default().push(claim);
        }
        for (lane, mut permits) in lanes {
            let got = by_lane.remove(&lane).unwrap_or_default();
            if suspect {
                self.lanes[lane].due_open = false;
            } else {
                self.lanes[lane].due_claimed(permits.len(), got.len());
            }
            for claim in got {
                let permit = permits.pop();
                self.hold(claim, permit, asked_at);
            }
            self.give_back_all(permits);
            self.enqueue(lane);
        }
        debug_assert!(by_lane.is_empty(), "claims of lanes that were not asked for");
        let others: Vec<usize> = by_lane.keys().copied().collect();
        for lane in others {
            for claim in by_lane.remove(&lane).unwrap_or_default() {
                self.hold(claim, None, asked_at);
            }
        }
    }

    pub(super) fn give_back_all(&mut self, permits: impl IntoIterator<Item = Permit>) {
        for permit in permits {
            self.give_back(permit);
        }
    }

    /// A claim of an unlimited lane is ours: started as soon as the lane's window allows, or
    /// given back if the lane was closed meanwhile. A delivery that moved may come with a lane
    /// that was never polled: nobody knows whose concurrency it shares, so it is given back too.
    fn hold(&mut self, claim: ClaimedDelivery<P>, permit: Option<Permit>, asked_at: Millis) {
        self.ids.lives(claim.key, Account::Shared);
        self.timeout_seen(claim.timeout);
        let lane = self.lane(claim.lane);
        let limit = self.lanes[lane].limit;
        if self.stopping.is_some() || limit.is_none() || !self.is_open(lane) {
            self.came_closed(lane);
            if let Some(permit) = permit {
                self.give_back(permit);
            }
            self.release(claim.payload, Duration::ZERO);
            return;
        }
        let mut permit = match permit {
            Some(permit) if permit.lane == lane && permit.limit == limit => permit,
            // It moved to another lane since, or the lane to another limit; its permit counts
            // where it was granted.
            Some(other) => {
                self.give_back(other);
                self.grant(lane)
            }
            None => self.grant(lane),
        };
        permit.send_by = send_by(asked_at, claim.length, claim.timeout);
        permit.stop = self.lanes[lane].stop.clone();
        self.accounts.carries_claim(&mut permit);
        self.lanes[lane].claimed.push_back(GrantedClaim { claim: claim.payload, permit });
        self.start_claimed(lane);
    }

    /// T11.
    pub(super) fn release(&mut self, claim: P, due_in: Duration) {
        self.out.push(Command::Release { claim, due_in });
    }

    /// A claim failed: nothing was got, or nobody knows.
    pub(super) fn claim_failed(&mut self, batch: Batch, commit: CommitResult) {
        self.store_failed();
        match self.steps.close(batch) {
            Some(Step::Fresh { asked, .. }) => {
                let mut ids = Vec::with_capacity(asked.len());
                for Asked { id, lane, permit } in asked {
                    ids.push((id, lane));
                    self.give_back(permit);
                }
                self.undo(Undo::Fresh(ids), commit);
            }
            Some(Step::Due { lanes, .. }) => {
                let mut asked = Vec::with_capacity(lanes.len());
                for (lane, permits) in lanes {
                    asked.push(lane);
                    self.give_back_all(permits);
                }
                self.undo(Undo::Due(asked), commit);
            }
            Some(Step::Limited { limit, lease, permits, .. }) => {
                self.limits[limit].asked = 0;
                self.give_back_all(permits);
                self.undo(Undo::Limited { limit, lease }, commit);
            }
            Some(Step::Unclaim(_) | Step::MakeDue { .. }) | None => {
                debug_assert!(false, "no claim has {batch:?}");
            }
        }
    }

    fn undo(&mut self, undo: Undo, commit: CommitResult) {
        match commit {
            CommitResult::Nothing => self.undone(undo, false),
            CommitResult::Unknown => self.unclaims.push(undo),
        }
    }

    /// Nothing of a claim is left, be it that nothing was got or that it was given back: what it
    /// was for is asked for again.
    pub(super) fn undone(&mut self, undo: Undo, is_unclaimed: bool) {
        if self.stopping.is_some() {
            return;
        }
        match undo {
            Undo::Fresh(ids) => {
                for (id, lane) in ids.into_iter().rev() {
                    match self.ids.get(id) {
                        Some(IdState::Asked) => self.wait_again(id, lane),
                        // Another claim got it, and perhaps it is recorded as well: its message
                        // can do nothing more for it.
                        Some(IdState::Live(..)) | None => self.ack(vec![id]),
                        Some(IdState::Waiting | IdState::Leaving) => {}
                    }
                    // What was claimed and given back is due, and no message's any more.
                    self.lanes[lane].due |= is_unclaimed;
                    self.enqueue(lane);
                }
            }
            Undo::Due(lanes) => {
                for lane in lanes {
                    self.lanes[lane].due_open = false;
                    self.wake_lane(lane);
                }
            }
            Undo::Limited { limit, .. } => {
                self.limits[limit].asking = None;
                self.limits[limit].work = true;
                self.pace(limit);
            }
        }
    }

    fn wait_again(&mut self, id: DeliveryId, lane: usize) {
        if self.is_limited(lane) || !self.is_open(lane) {
            self.leave(id, lane);
            return;
        }
        self.ids.set(id, IdState::Waiting);
        self.lanes[lane].waiting.push_front(id);
        self.lanes[lane].progress_at = self.now;
        self.watch_progress(lane);
        self.enqueue(lane);
    }
}
