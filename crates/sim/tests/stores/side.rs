//! One store in a sequence: what was made in it, and what it answers, without its row numbers
//! and instants.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, EventId, EventSource, LaneId, LaneLimits};
use postrider_store::{
    Beat, Claim, ClaimLimited, ClaimProbeDelivery, ClaimTerms, IntakeBatch, IntakeEntry,
    IntakeResult, Kept, LaneShare, LaneSpec, Lease, LimitedClaim, NewDelivery, NewEvent, Poll,
    ProbeClaim, Put, Recorded, StoredWebhook, Unclaim, UnclaimNo, Unsettled, WebhookWrite,
    WorkerId,
};
use postrider_testkit::HotStore;
use uuid::Uuid;

use crate::made::{document, ended, first_limits, webhook};
use crate::step::{End, HOUR, LANES, Step, WEBHOOKS, WORKERS, id};

const MINUTE: Duration = Duration::from_mins(1);

/// A store and what was made in it.
pub(crate) struct Side<'a, S> {
    store: &'a S,
    lanes: [Option<LaneId>; LANES],
    webhooks: [Option<StoredWebhook>; WEBHOOKS],
    made: Vec<DeliveryId>,
    claims: Vec<Claim>,
    leases: Vec<Lease>,
    probes: Vec<(LaneId, ProbeClaim)>,
    ids: u64,
    unclaims: i64,
    known: Option<Known>,
}

/// What steps would read first, read before them all: each of them is one statement then.
#[derive(Clone)]
struct Known {
    version: i64,
    limits: Vec<(String, LaneLimits)>,
}

fn spec(lane: usize, limits: LaneLimits) -> LaneSpec {
    LaneSpec { name: name(lane), limit: name(lane), limits }
}

fn name(lane: usize) -> String {
    format!("lane-{lane}")
}

fn worker(number: usize) -> WorkerId {
    WorkerId(Uuid::from_u128(100 + number as u128))
}

fn terms(number: usize, ends_now: bool) -> ClaimTerms {
    let timeout = if ends_now { Duration::ZERO } else { MINUTE };
    ClaimTerms { worker: worker(number), timeout, margin: Duration::ZERO }
}

impl<'a, S: HotStore> Side<'a, S> {
    pub(crate) async fn new(store: &'a S) -> Self {
        let mut side = Self {
            store,
            lanes: [None; LANES],
            webhooks: [const { None }; WEBHOOKS],
            made: Vec::new(),
            claims: Vec::new(),
            leases: Vec::new(),
            probes: Vec::new(),
            ids: 0,
            unclaims: 0,
            known: None,
        };
        for number in 0..WORKERS {
            side.beat(number, HOUR).await;
        }
        for number in 0..WEBHOOKS {
            side.put(number, number % LANES, true).await;
        }
        side
    }

    async fn put(&mut self, number: usize, lane: usize, enabled: bool) -> String {
        let webhook = webhook(number, enabled);
        let secret_names = BTreeSet::from([format!("secret-{lane}")]);
        // The settings stay as they are.
        let limits = match (&self.known, self.lanes[lane]) {
            (Some(known), _) => known.limits[lane].clone(),
            (None, Some(id)) => self.limits_of(id).await,
            (None, None) => (name(lane), first_limits(lane)),
        };
        let lane_spec = LaneSpec { name: name(lane), limit: limits.0, limits: limits.1 };
        let write = WebhookWrite { webhook, lane: lane_spec, secret_names };
        let (word, stored) = match self.store.put_webhook(&write).await.unwrap() {
            Put::Created(stored) => ("created", stored),
            Put::Replaced(stored) => ("replaced", stored),
        };
        self.lanes[lane] = Some(stored.lane_id);
        let answer = format!("{word} rev {} limited {}", stored.rev, stored.lane_limited);
        self.webhooks[number] = Some(stored);
        answer
    }

    async fn version(&self) -> i64 {
        self.store.webhook_table(None).await.unwrap().unwrap().version
    }

    /// Reads what steps would read first.
    pub(crate) async fn look_around(&mut self) {
        let mut limits = Vec::new();
        for lane in self.lanes.iter().flatten() {
            limits.push(self.limits_of(*lane).await);
        }
        assert_eq!(limits.len(), LANES, "each lane is there");
        self.known = Some(Known { version: self.version().await, limits });
    }

    /// The same as seen by another caller, whose ids and numbers are its own.
    pub(crate) fn beside<'b>(&self, store: &'b S, caller: u64) -> Side<'b, S> {
        Side {
            store,
            lanes: self.lanes,
            webhooks: self.webhooks.clone(),
            made: self.made.clone(),
            claims: self.claims.clone(),
            leases: self.leases.clone(),
            probes: self.probes.clone(),
            ids: self.ids + 1_000 * caller,
            unclaims: self.unclaims + i64::try_from(caller).unwrap(),
            known: self.known.clone(),
        }
    }

    /// Knows what another caller has made.
    pub(crate) fn hears_of(&mut self, other: &Side<'_, S>) {
        let new = other.made.iter().filter(|id| !self.made.contains(id)).copied();
        let new: Vec<_> = new.collect();
        self.made.extend(new);
    }

    async fn limits_of(&self, lane: LaneId) -> (String, LaneLimits) {
        let status = self.store.poll(Poll::Those(&[lane])).await.unwrap().lanes.remove(0);
        let all: Vec<LaneId> = self.lanes.iter().flatten().copied().collect();
        let page = self.store.poll(Poll::Those(&all)).await.unwrap().lanes;
        // Limits are named after the first lane that they were made for; joined ones keep it.
        let first = page.iter().find(|each| each.limit.id == status.limit.id);
        let name = self.limit_named_after(first.map_or(status.id, |each| each.id));
        (name, status.limit.limits)
    }

    fn limit_named_after(&self, lane: LaneId) -> String {
        let number = self.lanes.iter().position(|each| *each == Some(lane)).unwrap_or_default();
        name(number)
    }

    fn last(&self, count: usize) -> Vec<DeliveryId> {
        self.made[self.made.len().saturating_sub(count)..].to_vec()
    }

    fn lease(&self, number: usize) -> Option<Lease> {
        let last = self.leases.len().checked_sub(1)?;
        self.leases.get(last.saturating_sub(number)).copied()
    }

    /// Does a step; what it answered.
    pub(crate) async fn step(&mut self, step: &Step) -> String {
        // No two steps at one instant.
        self.store.advance(Duration::from_millis(1)).await;
        match step {
            Step::Put { .. } | Step::Delete { .. } | Step::Commit { .. } => self.enter(step).await,
            Step::Fresh { .. }
            | Step::Due { .. }
            | Step::Limited { .. }
            | Step::Canary { .. }
            | Step::Unclaim { .. } => self.claim(step).await,
            Step::Record { ends } => self.record(ends).await,
            Step::MakeDue { .. }
            | Step::Expire
            | Step::ReassignLanes
            | Step::Discard
            | Step::SortParked
            | Step::Beat { .. }
            | Step::GiveBack => self.clean(step).await,
            Step::Acquire { .. }
            | Step::Renew { .. }
            | Step::GiveUp { .. }
            | Step::Probe { .. }
            | Step::ReleaseProbed { .. } => self.lead(step).await,
            Step::Pause { .. }
            | Step::Hold { .. }
            | Step::Release { .. }
            | Step::Unpark { .. }
            | Step::Secret { .. }
            | Step::NoSecret { .. }
            | Step::Sync { .. } => self.change(step).await,
        }
    }

    async fn enter(&mut self, step: &Step) -> String {
        match step {
            Step::Put { webhook, lane, enabled } => self.put(*webhook, *lane, *enabled).await,
            Step::Delete { webhook: number } => {
                let uuid = webhook(*number, true).uuid;
                self.webhooks[*number] = None;
                self.store.delete_webhook(&uuid).await.unwrap().to_string()
            }
            Step::Commit { webhooks, key, claims } => self.commit(webhooks, *key, *claims).await,
            other => unreachable!("{other:?} enters nothing"),
        }
    }

    async fn commit(
        &mut self,
        webhooks: &[usize],
        key: Option<u8>,
        claims: Option<(usize, bool)>,
    ) -> String {
        let version = match &self.known {
            Some(known) => known.version,
            None => self.version().await,
        };
        let mut deliveries = Vec::new();
        self.ids += 1;
        let event = EventId(id(self.ids));
        let numbers: BTreeSet<usize> = webhooks.iter().copied().collect();
        let known = numbers.iter().filter_map(|number| self.webhooks[*number].as_ref());
        // Nobody matches events with those that are switched off.
        for webhook in known.filter(|webhook| webhook.webhook.enabled) {
            self.ids += 1;
            let id = DeliveryId(id(self.ids));
            deliveries.push(NewDelivery { id, webhook_id: webhook.id, lane_id: webhook.lane_id });
        }
        let new: Vec<DeliveryId> = deliveries.iter().map(|new| new.id).collect();
        let event = NewEvent {
            id: event,
            source: EventSource::Api,
            key: key.map(|key| format!("key-{key}")),
            term: None,
            fingerprint: [1; 16],
            event: document(),
            traceparent: None,
        };
        let entries = vec![IntakeEntry { event, deliveries }];
        let batch = IntakeBatch { webhooks_version: version, entries: entries.into() };
        let (results, claims) = match claims {
            None => (self.store.commit_events(&batch).await.unwrap(), Vec::new()),
            Some((worker, but_one)) => {
                let wanted = &new[usize::from(but_one).min(new.len())..];
                let terms = terms(worker, false);
                let entered = self.store.commit_events_claiming(&batch, wanted, terms).await;
                entered
                    .unwrap()
                    .map_or_else(Default::default, |(results, claims)| (Some(results), claims))
            }
        };
        match results.as_deref() {
            None => "another version".to_owned(),
            Some([IntakeResult::Accepted]) => {
                self.made.extend(new);
                format!("accepted {}", self.got(claims))
            }
            Some([IntakeResult::Duplicate(first)]) => {
                let ids: Vec<DeliveryId> = first.deliveries.iter().map(|(id, _)| *id).collect();
                format!("as {:?}: {ids:?}", first.event_id)
            }
            Some(results) => format!("{results:?}"),
        }
    }

    async fn claim(&mut self, step: &Step) -> String {
        let claims = match step {
            Step::Fresh { worker, last, ends_now } => {
                let ids = self.last(*last);
                self.store.claim_fresh(&ids, terms(*worker, *ends_now)).await.unwrap()
            }
            Step::Due { worker, lanes, count, suspect, ends_now } => {
                let numbers: BTreeSet<usize> = lanes.iter().copied().collect();
                let share =
                    |lane: usize| Some(LaneShare { lane: self.lanes[lane]?, limit: *count });
                let shares: Vec<LaneShare> = numbers.into_iter().filter_map(share).collect();
                let terms = terms(*worker, *ends_now);
                self.store.claim_due(&shares, *suspect, terms).await.unwrap()
            }
            Step::Limited { lease, count, spaced, suspect, ends_now } => {
                let Some(lease) = self.lease(*lease) else { return "no lease".to_owned() };
                let interval = if *spaced { HOUR } else { Duration::ZERO };
                let terms = ClaimTerms { worker: lease.worker, ..terms(0, *ends_now) };
                let claim = self
                    .store
                    .claim_limited(ClaimLimited {
                        lease,
                        limit: *count,
                        interval,
                        suspect: *suspect,
                        terms,
                    })
                    .await;
                match claim.unwrap() {
                    LimitedClaim::Claimed(claims) => claims,
                    LimitedClaim::OldClaims => return "old claims".to_owned(),
                    LimitedClaim::HourFull { .. } => return "full".to_owned(),
                    LimitedClaim::NotPermitted => return "not permitted".to_owned(),
                }
            }
            Step::Canary { probe, lease, worker } => {
                let last = self.probes.len().checked_sub(1 + probe);
                let Some((lane, probe)) = last.map(|at| self.probes[at]) else {
                    return "no probe".to_owned();
                };
                let lease = lease.and_then(|number| self.lease(number));
                let terms = terms(*worker, false);
                let claim = self.store.claim_probe_delivery(ClaimProbeDelivery {
                    lane,
                    probe,
                    lease,
                    interval: Duration::ZERO,
                    terms,
                });
                claim.await.unwrap().into_iter().collect()
            }
            Step::Unclaim { .. } => return self.unclaim(step).await,
            other => unreachable!("{other:?} claims nothing"),
        };
        self.got(claims)
    }

    fn got(&mut self, mut claims: Vec<Claim>) -> String {
        claims.sort_by_key(|claim| claim.id);
        let mut answer = String::new();
        for claim in &claims {
            let Claim { id, claim_no, attempt, maybe_sent, lost_claims, rejections, .. } = claim;
            let (webhook_rev, secret_rev) = (claim.webhook_rev, claim.secret_rev);
            let lane = self.lanes.iter().position(|lane| *lane == Some(claim.lane_id));
            writeln!(
                answer,
                "{id} {claim_no:?} attempt {attempt} {maybe_sent} lost {lost_claims} \
                 rejected {rejections} rev {webhook_rev} {secret_rev} in {lane:?}"
            )
            .unwrap();
        }
        self.claims.extend(claims);
        answer
    }

    async fn unclaim(&mut self, step: &Step) -> String {
        let Step::Unclaim { worker: number, lane, last, by, keeps, is_late } = *step else {
            unreachable!("{step:?} gives nothing back");
        };
        self.unclaims += 1;
        let number_of_it = UnclaimNo(if is_late { self.unclaims / 2 } else { self.unclaims });
        let recent = self.claims.iter().rev().take(keeps);
        let live: Vec<(DeliveryId, ClaimNo)> =
            recent.map(|claim| (claim.id, claim.claim_no)).collect();
        let kept = Kept { live: &live, pending: &[] };
        let ids = self.last(last);
        let lanes: Vec<LaneId> = self.lanes[lane].into_iter().collect();
        let (who, scope) = match (by, self.lease(0)) {
            (0, _) => (worker(number), Unsettled::Fresh(&ids)),
            (1, Some(lease)) => (lease.worker, Unsettled::Limited(lease)),
            (_, _) => (worker(number), Unsettled::Due(&lanes)),
        };
        let given_back = self
            .store
            .unclaim(Unclaim { worker: who, number: number_of_it, claim: scope, kept })
            .await
            .unwrap();
        format!("{given_back:?}")
    }

    async fn beat(&self, number: usize, claim: Duration) {
        let unclaimed = UnclaimNo(self.unclaims / 2);
        let beat = Beat { worker: worker(number), claim, lease: HOUR, unclaimed, trouble: None };
        self.store.beat(beat).await.unwrap();
    }

    async fn record(&self, ends: &[(usize, End)]) -> String {
        let newest = |number: usize| {
            let at = self.claims.len().checked_sub(1 + number)?;
            self.claims.get(at)
        };
        let batch: Vec<Recorded> = ends
            .iter()
            .filter_map(|(number, end)| newest(*number).map(|claim| ended(claim, *end)))
            .collect();
        let mut report = self.store.record(&batch).await.unwrap();
        report.late.sort_unstable();
        let held = |lane: &LaneId| self.lanes.iter().position(|each| *each == Some(*lane));
        let mut lanes: Vec<_> = report.held.iter().map(held).collect();
        lanes.sort_unstable();
        format!("late {:?} held {lanes:?}", report.late)
    }

    async fn clean(&self, step: &Step) -> String {
        match step {
            Step::MakeDue { last } => {
                self.store.make_due(&self.last(*last)).await.unwrap();
                String::new()
            }
            Step::Expire => {
                let mut expired = self.store.expire_claims(100).await.unwrap();
                expired.given_back.sort_unstable();
                expired.poisoned.sort_unstable();
                format!("{expired:?}")
            }
            Step::ReassignLanes => self.store.reassign_lanes(100).await.unwrap().to_string(),
            Step::SortParked => self.store.sort_parked(100).await.unwrap().to_string(),
            Step::Discard => self.store.discard(100).await.unwrap().to_string(),
            Step::Beat { worker: number, lives } => {
                let claim = if *lives { HOUR } else { Duration::ZERO };
                self.beat(*number, claim).await;
                String::new()
            }
            Step::GiveBack => {
                let mut given_back = self.store.give_back(None, 100).await.unwrap();
                if let Some(given_back) = &mut given_back {
                    given_back.expired.given_back.sort_unstable();
                    given_back.expired.poisoned.sort_unstable();
                }
                format!("{given_back:?}")
            }
            other => unreachable!("{other:?} cleans nothing"),
        }
    }

    async fn lead(&mut self, step: &Step) -> String {
        match step {
            Step::Acquire { lane, worker: number, ends_now } => {
                let Some(lane) = self.lanes[*lane] else { return "no lane".to_owned() };
                let lanes = self.store.poll(Poll::Those(&[lane])).await.unwrap().lanes;
                let limit = lanes[0].limit.id;
                let length = if *ends_now { Duration::ZERO } else { HOUR };
                let lease = self.store.acquire(limit, worker(*number), length).await.unwrap();
                self.leases.extend(lease);
                format!("{:?}", lease.map(|lease| (lease.worker, lease.epoch)))
            }
            Step::Renew { lease } => {
                let leases: Vec<Lease> = self.lease(*lease).into_iter().collect();
                self.store.renew(&leases, HOUR).await.unwrap().len().to_string()
            }
            Step::GiveUp { lease } => {
                let leases: Vec<Lease> = self.lease(*lease).into_iter().collect();
                self.store.give_up(&leases).await.unwrap();
                String::new()
            }
            Step::Probe { lane, lease } => {
                let Some(lane) = self.lanes[*lane] else { return "no lane".to_owned() };
                let lease = lease.and_then(|number| self.lease(number));
                let probe = self.store.claim_probe(lane, lease, HOUR).await.unwrap();
                self.probes.extend(probe.map(|probe| (lane, probe)));
                format!("{probe:?}")
            }
            Step::ReleaseProbed { probe } => {
                let Some(at) = self.probes.len().checked_sub(1 + probe) else {
                    return "no probe".to_owned();
                };
                let (lane, probe) = self.probes[at];
                self.store.release_probed(lane, probe).await.unwrap().to_string()
            }
            other => unreachable!("{other:?} leads nothing"),
        }
    }

    async fn change(&self, step: &Step) -> String {
        match step {
            Step::Pause { lane } => {
                if let Some(lane) = self.lanes[*lane] {
                    self.store.pause(lane, HOUR).await.unwrap();
                }
                String::new()
            }
            Step::Hold { lane } => self.store.hold_by_hand(&name(*lane)).await.unwrap().to_string(),
            Step::Release { lane } => {
                self.store.release_by_hand(&name(*lane)).await.unwrap().to_string()
            }
            Step::Unpark { webhook: number } => {
                let uuid = webhook(*number, true).uuid;
                format!("{:?}", self.store.release_webhook(&uuid).await.unwrap())
            }
            Step::Secret { lane } => {
                let mut opened = self.store.set_secret(&format!("secret-{lane}")).await.unwrap();
                opened.sort();
                format!("{opened:?}")
            }
            Step::NoSecret { lane } => {
                self.store.delete_secret(&format!("secret-{lane}")).await.unwrap().to_string()
            }
            Step::Sync { lane, limit, limits } => {
                let spec = LaneSpec { limit: name(*limit), ..spec(*lane, *limits) };
                self.store.sync_lanes(&[spec]).await.unwrap().to_string()
            }
            other => unreachable!("{other:?} changes nothing"),
        }
    }

    /// Everything that can be seen.
    pub(crate) async fn rows(&self) -> String {
        let mut rows = String::new();
        for id in &self.made {
            writeln!(rows, "{id} {:?}", self.store.seen(*id).await.unwrap()).unwrap();
        }
        for (number, lane) in self.lanes.iter().enumerate() {
            let Some(lane) = lane else { continue };
            let status = self.store.poll(Poll::Those(&[*lane])).await.unwrap().lanes.remove(0);
            let limit = &status.limit;
            writeln!(
                rows,
                "lane {number} {:?} {} {} due {} open {} probe {} {} {:?} paused {} leased {} \
                 clean {:?} later {}",
                status.state,
                status.hold_gen,
                status.secret_rev,
                status.due,
                status.open,
                status.probe_due,
                status.probe_in.is_some_and(|left| left > MINUTE),
                limit.limits,
                limit.paused_for.is_some(),
                limit.leased,
                limit.clean,
                limit.next_send_in.is_some_and(|left| left > MINUTE),
            )
            .unwrap();
        }
        let unclaimed = self.store.count_unclaimed(1_000).await.unwrap();
        writeln!(rows, "{unclaimed} unclaimed").unwrap();
        rows
    }
}
