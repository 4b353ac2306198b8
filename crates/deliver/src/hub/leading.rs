//! Surveys, leases and probes (L1-L3, L9): done once a poll interval, hurried when something
//! asks for it.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{HoldCause, LaneId, LaneState};
use postrider_store::{LaneView, Lease, StoreError};

use super::{Hub, Note, send};
use crate::clock::Mark;
use crate::lane::{Leading, Way};
use crate::pacer::Pacer;
use crate::probe::Prober;

impl Hub {
    /// Looks at all lanes, one survey at a time.
    pub(super) fn survey(&mut self) {
        if self.surveying || !self.survey_wanted {
            return;
        }
        self.surveying = true;
        self.survey_wanted = false;
        let (store, notes) = (self.store.clone(), self.notes.clone());
        self.tracker.spawn(async move {
            let started = Mark::now();
            let result = store.survey().await;
            send(&notes, Note::Surveyed { started, result }).await;
        });
    }

    pub(super) fn surveyed(&mut self, started: Mark, result: Result<Vec<LaneView>, StoreError>) {
        self.surveying = false;
        let views = match result {
            Ok(views) => views,
            Err(error) => {
                tracing::warn!(%error, "survey.failed");
                return;
            }
        };
        self.surveys += 1;
        for view in &views {
            self.see(view, started);
        }
        let share = self.share();
        let stuck: Vec<_> = self
            .lanes
            .values_mut()
            .filter(|lane| lane.is_stuck(share))
            .flat_map(|lane| lane.road.drain(..))
            .collect();
        self.leave_to_store(stuck);
    }

    fn see(&mut self, view: &LaneView, started: Mark) {
        let paused = self.lane(view.id).see(view, started);
        if let Some(left) = paused.filter(|left| *left <= self.context.config.poll) {
            self.wake_after(view.id, left);
        }
        if view.due && !self.stopping {
            self.claim_suspect(view.id);
        }
        let wants_leader = view.open || matches!(view.state, LaneState::Held(_));
        if view.limits.is_limited() && wants_leader && !view.leased {
            self.acquire(view.id);
        }
        if view.probe_due && probe_helps(view.state) {
            self.probe(view.id);
        }
    }

    fn wake_after(&self, id: LaneId, left: Duration) {
        let notes = self.notes.clone();
        self.tracker.spawn(async move {
            tokio::time::sleep(left).await;
            send(&notes, Note::Wake(vec![id])).await;
        });
    }

    fn acquire(&mut self, id: LaneId) {
        let (store, notes, worker) = (self.store.clone(), self.notes.clone(), self.worker);
        let (length, stopping) = (self.context.config.lease, self.stopping);
        let lane = self.lane(id);
        if lane.acquiring || stopping {
            return;
        }
        lane.acquiring = true;
        self.tracker.spawn(async move {
            let started = Mark::now();
            let result = store.acquire(id, worker, length).await;
            send(&notes, Note::Acquired { lane: id, started, result }).await;
        });
    }

    pub(super) fn acquired(
        &mut self,
        id: LaneId,
        started: Mark,
        result: Result<Option<Lease>, StoreError>,
    ) {
        let lane = self.lane(id);
        lane.acquiring = false;
        match result {
            Ok(Some(lease)) => {
                lane.leading = Some(Leading { lease, renewed_at: started });
                lane.pacer = None;
                lane.due = true;
                tracing::info!(lane_id = id.0, epoch = lease.epoch, "lane.led");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, lane_id = id.0, "lane.not_acquired"),
        }
    }

    /// L2. The hub is every lane's loop: were it to hang, nothing would be renewed (TASK_RENEW).
    pub(super) fn renew(&self) {
        let asked: Vec<Lease> =
            self.lanes.values().filter_map(|lane| lane.leading.map(|led| led.lease)).collect();
        if asked.is_empty() || self.stopping {
            return;
        }
        let (store, notes) = (self.store.clone(), self.notes.clone());
        let length = self.context.config.lease;
        self.tracker.spawn(async move {
            let started = Mark::now();
            let result = store.renew(&asked, length).await;
            send(&notes, Note::Renewed { asked, started, result }).await;
        });
    }

    pub(super) fn renewed(
        &mut self,
        asked: &[Lease],
        started: Mark,
        result: Result<Vec<Lease>, StoreError>,
    ) {
        let kept = match result {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "leases.not_renewed");
                return;
            }
        };
        for lease in asked {
            let lane = self.lane(lease.lane_id);
            if lane.leading.is_none_or(|led| led.lease != *lease) {
                continue;
            }
            if kept.contains(lease) {
                lane.leading = Some(Leading { lease: *lease, renewed_at: started });
            } else {
                tracing::warn!(lane_id = lease.lane_id.0, epoch = lease.epoch, "lane.lost");
                lane.forget_lease();
            }
        }
    }

    /// The first poll of a leader that saw no claim of another epoch: from here the limiter
    /// counts, and it starts empty (AFTER_CLAIMS).
    pub(super) fn clean(&mut self, id: LaneId) {
        let lane = self.lane(id);
        if lane.limits.is_limited() && lane.pacer.is_none() {
            lane.pacer = Some(Arc::new(Pacer::empty(&lane.limits)));
        }
    }

    /// L9. A limited lane is probed by its leader, an unlimited one by any worker.
    fn probe(&mut self, id: LaneId) {
        let (length, stopping) = (self.context.config.lease, self.stopping);
        let lane = self.lane(id);
        let limited = lane.limits.is_limited();
        let lease = lane.lease(length);
        if lane.probing || stopping || (limited && lease.is_none()) {
            return;
        }
        lane.probing = true;
        let way = Way { gate: Arc::default(), ..lane.way() };
        let notes = self.notes.clone();
        let prober = Prober {
            context: Arc::clone(&self.context),
            store: self.store.clone(),
            worker: self.worker,
            recorder: self.recorder.clone(),
            way,
        };
        self.tracker.spawn(async move {
            if let Err(error) = prober.probe(id, lease.filter(|_| limited)).await {
                tracing::warn!(%error, lane_id = id.0, "probe.failed");
            }
            send(&notes, Note::Probed { lane: id }).await;
        });
    }
}

/// A hold by hand is nobody's but the operator's to end.
fn probe_helps(state: LaneState) -> bool {
    match state {
        LaneState::Held(HoldCause::Credential | HoldCause::SecretMissing) => true,
        LaneState::Held(HoldCause::Manual) | LaneState::Open => false,
    }
}
