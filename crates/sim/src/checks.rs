//! What must hold, watched from outside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, LaneId, LimitId, Rate, StoredStatus};

use postrider_scheduler::LaneShare;

use crate::attempt::Request;
use crate::call::{Call, What};
use crate::model::Model;
use crate::parks::Parks;
use crate::process::Who;

const HOUR: u64 = 3_600_000;
/// Claims that bring nothing, of one process within a second, beside as many as something was
/// heard of.
const FRUITLESS_MOST: u32 = 40;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    accepted: BTreeSet<DeliveryId>,
    /// Fresh ids that a committed step answered.
    answered: BTreeSet<DeliveryId>,
    /// By which claim first.
    took_effect: BTreeMap<DeliveryId, ClaimNo>,
    arrivals: BTreeMap<LimitId, VecDeque<u64>>,
    under_way: BTreeMap<(Who, LimitId), u32>,
    /// The largest of the limit's settings so far: requests that left before a change go on.
    concurrency: BTreeMap<LimitId, u32>,
    lenient_until: u64,
    /// Since when limits are paused.
    paused: BTreeMap<LimitId, u64>,
    claims: BTreeMap<Who, (u64, u32)>,
    /// Calls that may be carried out after everybody gave them up, by when.
    late: BTreeMap<Who, u64>,
    pub(crate) parks: Parks,
    pub(crate) requests: u64,
    /// When requests left.
    pub(crate) sent: Vec<u64>,
}

impl Checks {
    /// The rows are there: each of them has to come to an end.
    pub(crate) fn accepted(&mut self, deliveries: &[(DeliveryId, LaneId)]) {
        self.accepted.extend(deliveries.iter().map(|(id, _)| *id));
    }

    /// Windows may be exceeded until then: a clock jumped.
    pub(crate) fn is_lenient(&mut self, until: u64) {
        self.lenient_until = self.lenient_until.max(until);
    }

    /// What was sent under other terms does not count.
    pub(crate) fn terms_changed(&mut self, now: u64) {
        self.arrivals.clear();
        // What is on its way and in hand was paced by the old terms, and who stands still or is cut
        // off goes by them for longer.
        self.is_lenient(now + 90_000);
    }

    /// A process is gone, and its requests with it.
    pub(crate) fn gone(&mut self, who: Who) {
        self.under_way.retain(|(of, _), _| *of != who);
        self.claims.remove(&who);
    }

    /// A call will be carried out, and nobody will know.
    pub(crate) fn unheard(&mut self, is_late: bool, at: u64, who: Who) {
        if is_late {
            let last = self.late.entry(who).or_default();
            *last = (*last).max(at);
        }
    }

    /// Whether a claim may be one that was made after its process gave it up.
    pub(crate) fn is_late(&self, who: Who, claimed_at: u64) -> bool {
        self.late.get(&who).is_some_and(|last| *last >= claimed_at)
    }

    pub(crate) fn executed(&mut self, call: &Call) {
        if let What::ClaimFresh(_, ids) | What::ClaimAtIntake { ids, .. } | What::MakeDue(_, ids) =
            &call.what
        {
            self.answered.extend(ids);
        }
    }

    /// Takes note of which limits are paused.
    pub(crate) fn pauses(&mut self, model: &Model, now: u64) {
        for (id, limit) in model.limits() {
            if limit.is_paused(model.now()) {
                self.paused.entry(id).or_insert(now);
            } else {
                self.paused.remove(&id);
            }
        }
    }

    /// The limit whose claims are asked for although it has been paused for so long that every
    /// poll says so.
    pub(crate) fn asks_in_pause(&self, call: &Call, model: &Model, now: u64) -> Option<LimitId> {
        let is_known =
            |limit: &LimitId| self.paused.get(limit).is_some_and(|since| since + 8_000 < now);
        match &call.what {
            What::ClaimLimited { lease, .. } => Some(lease.limit).filter(is_known),
            What::ClaimDue(_, lanes, _) => {
                let limit = |share: &LaneShare| model.lane(share.lane).map(|lane| lane.limit);
                lanes.iter().filter_map(limit).find(is_known)
            }
            _ => None,
        }
    }

    /// Whether a message may be acknowledged as far as this delivery goes (`SETTLE_AT_CLAIM`).
    pub(crate) fn is_answered(&self, id: DeliveryId, model: &Model) -> bool {
        let was_claimed = model.row(id).is_some_and(|row| row.claim_no > ClaimNo(0));
        was_claimed || self.answered.contains(&id)
    }

    /// A claim brought something, or the process heard of something.
    pub(crate) fn fruitful(&mut self, who: Who) {
        let (_, count) = self.claims.entry(who).or_default();
        *count = count.saturating_sub(1);
    }

    /// A claim brought nothing. What is wrong if that goes on.
    pub(crate) fn fruitless(&mut self, who: Who, now: u64) -> Option<String> {
        let (second, count) = self.claims.entry(who).or_default();
        if *second != now / 1_000 {
            (*second, *count) = (now / 1_000, 0);
        }
        *count += 1;
        (*count > FRUITLESS_MOST).then(|| format!("{who} claims nothing, again and again"))
    }

    /// A request leaves. What is wrong with that.
    pub(crate) fn sends(
        &mut self,
        who: Who,
        request: &Request,
        model: &Model,
        now: u64,
    ) -> Option<String> {
        self.requests += 1;
        self.sent.push(now);
        let (_, limit) = model.limits().find(|(id, _)| *id == request.limit)?;
        if request.is_probe {
            return None;
        }
        if let Some((id, webhook)) = request.delivery.zip(request.webhook)
            && let Some(what) = self.parks.sends((id, request.claim_no), webhook)
        {
            return Some(what);
        }
        let count = self.under_way.entry((who, request.limit)).or_default();
        *count += 1;
        let most = self.concurrency.entry(request.limit).or_default();
        *most = (*most).max(limit.limits.concurrency);
        if *count > *most && now >= self.lenient_until {
            return Some(format!("{who} has {count} requests under way, {most} are allowed"));
        }
        None
    }

    /// A request that left has ended.
    pub(crate) fn ends(&mut self, who: Who, limit: LimitId) {
        if let Some(count) = self.under_way.get_mut(&(who, limit)) {
            *count = count.saturating_sub(1);
        }
    }

    /// A request is at its target. What is wrong with that.
    pub(crate) fn arrived(
        &mut self,
        id: DeliveryId,
        request: &Request,
        took_effect: bool,
        model: &Model,
        now: u64,
    ) -> Option<String> {
        if let Some(before) = self.took_effect.get(&id)
            && !request.is_marked
        {
            // A clock that jumped lets a newer claim in beside this one; that one is marked.
            let is_older = request.claim_no < *before && now < self.lenient_until;
            if !is_older {
                return Some(format!("{id} arrives again and is not marked"));
            }
        }
        if took_effect {
            self.took_effect.entry(id).or_insert(request.claim_no);
        }
        self.read(request, model, now)
    }

    /// A request counts in its limit's windows. What is wrong with that.
    pub(crate) fn read(&mut self, request: &Request, model: &Model, now: u64) -> Option<String> {
        let (_, limit) = model.limits().find(|(id, _)| *id == request.limit)?;
        let arrivals = self.arrivals.entry(request.limit).or_default();
        arrivals.push_back(now);
        while arrivals.front().is_some_and(|first| first + HOUR <= now) {
            arrivals.pop_front();
        }
        if now < self.lenient_until {
            return None;
        }
        let within = |window: Duration| {
            let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
            arrivals.iter().rev().take_while(|at| **at + window > now).count()
        };
        let mut wrong = None;
        if let Rate::Limited { count, per } = limit.limits.rate {
            let found = within(per);
            if found > count as usize {
                wrong = Some(format!("limit {}: {found} of {count} in {per:?}", limit.name));
            }
        }
        if let Some(most) = limit.limits.per_hour {
            let found = within(Duration::from_millis(HOUR));
            if found > most as usize {
                wrong = Some(format!("limit {}: {found} of {most} in an hour", limit.name));
            }
        }
        wrong
    }

    /// What is wrong once everything should have come to its end.
    pub(crate) fn at_the_end(&self, model: &Model) -> Option<String> {
        for id in &self.accepted {
            let Some(row) = model.row(*id) else { return Some(format!("{id} is gone")) };
            match row.status {
                StoredStatus::Waiting | StoredStatus::Sending => {
                    return Some(format!("{id} never ends: {row:?}"));
                }
                StoredStatus::Delivered if !self.took_effect.contains_key(id) => {
                    return Some(format!("{id} is delivered, and nothing arrived"));
                }
                StoredStatus::Delivered | StoredStatus::Failed | StoredStatus::Discarded => {}
            }
            if let Some(what) = self.parks.fails(*id, row) {
                return Some(what);
            }
        }
        None
    }
}
