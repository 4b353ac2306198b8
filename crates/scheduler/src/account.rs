//! What is under way, counted where it is bounded: the process, its classes, its hosts.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use postrider_domain::LaneId;

use super::permit::{Account, Permit, StopFlag, Ticket};
use super::standing::{Class, Standing};
use super::{Millis, Scheduler, Settings};

/// Attempts of all limited limits together, claims that are asked for among them.
const LIMITED_MAX: u32 = 1_024;
/// Probes at once.
const PROBES_MAX: u32 = 32;
/// What lanes that are new, or slow, may have of all permits: a quarter each. The rest is a
/// reserve for lanes that answer.
const CLASS_SHARE: u32 = 4;
/// What one host may have of all permits: half.
const HOST_SHARE: u32 = 2;
/// Permits of one lane that are granted in a row.
const QUANTUM: u32 = 16;

/// The permits of a process.
#[derive(Debug)]
pub(super) struct Accounts {
    generation: u64,
    permits: u32,
    last: u64,
    /// By the class that their lanes have now.
    used: [u32; Class::COUNT],
    /// Of those, the ones that carry a claim.
    claimed: u32,
    limited: u32,
    probes: u32,
}

impl Accounts {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            generation: settings.generation,
            permits: settings.permits.max(CLASS_SHARE),
            last: 0,
            used: [0; Class::COUNT],
            claimed: 0,
            limited: 0,
            probes: 0,
        }
    }

    /// How many more permits a class may have while at most `most` may be out in all, and
    /// `claims` claims are not recorded: an attempt that ended keeps its place until its outcome
    /// is committed, because a crash before that makes it again.
    fn capacity(&self, class: Class, most: u32, claims: u32) -> u32 {
        let total: u32 = self.used.iter().sum();
        let unrecorded = claims.saturating_sub(self.claimed);
        let left = self.permits.saturating_sub(total + unrecorded).min(most.saturating_sub(total));
        match class {
            Class::Proven => left,
            Class::New | Class::Slow => {
                left.min((self.permits / CLASS_SHARE).saturating_sub(self.used[class.index()]))
            }
        }
    }

    /// How many more attempts limited limits may have while at most `most` may be out.
    pub(super) fn limited_capacity(&self, most: u32) -> u32 {
        LIMITED_MAX.min(most).saturating_sub(self.limited)
    }

    pub(super) fn probe_room(&self) -> u32 {
        PROBES_MAX.saturating_sub(self.probes)
    }

    /// The permit is one of a claim from here on.
    pub(super) fn carries_claim(&mut self, permit: &mut Permit) {
        permit.has_claim = true;
        self.claimed += 1;
    }

    pub(super) fn used(&self, class: Class) -> u32 {
        self.used[class.index()]
    }

    pub(super) fn limited(&self) -> u32 {
        self.limited
    }

    /// Everything that is out.
    pub(super) fn total(&self) -> u32 {
        self.used.iter().sum::<u32>() + self.limited + self.probes
    }

    fn permit(&mut self, account: Account, limit: Option<usize>) -> Permit {
        self.last += 1;
        Permit {
            ticket: Ticket(self.last),
            lane_id: LaneId(0),
            lane: usize::MAX,
            host: Hosts::UNKNOWN,
            limit,
            account,
            generation: self.generation,
            stop: StopFlag::default(),
            send_by: Millis(u64::MAX),
            has_claim: false,
            is_owed: false,
        }
    }
}

#[derive(Debug, Default)]
struct Host {
    used: u32,
    /// Lanes that wait for one of its permits.
    parked: VecDeque<usize>,
}

/// Hosts by their name.
#[derive(Debug)]
pub(super) struct Hosts {
    all: Vec<Host>,
    by_name: HashMap<Arc<str>, usize>,
    share: u32,
}

impl Hosts {
    /// Where lanes are that were not polled yet.
    pub(super) const UNKNOWN: usize = 0;

    pub(super) fn new(permits: u32) -> Self {
        let share = (permits / HOST_SHARE).max(1);
        Self { all: vec![Host::default()], by_name: HashMap::new(), share }
    }

    pub(super) fn index(&mut self, name: &Arc<str>) -> usize {
        if let Some(host) = self.by_name.get(name) {
            return *host;
        }
        self.all.push(Host::default());
        self.by_name.insert(Arc::clone(name), self.all.len() - 1);
        self.all.len() - 1
    }

    pub(super) fn used(&self) -> u32 {
        self.all.iter().map(|host| host.used).sum()
    }

    fn capacity(&self, host: usize) -> u32 {
        self.share.saturating_sub(self.all[host].used)
    }
}

impl<P> Scheduler<P> {
    /// How many permits a lane may be granted in a row now, for at most `wanted` claims. Zero
    /// where something that has to end first will bring the lane back.
    pub(super) fn capacity(&mut self, lane: usize, wanted: usize) -> u32 {
        let (concurrency, limit_room) = self.lane_limit(lane).map_or((1, u32::MAX), |limit| {
            (limit.concurrency(), limit.granted_max().saturating_sub(limit.granted))
        });
        let state = &mut self.lanes[lane];
        let Some(own) = state.capacity(self.now, concurrency, wanted) else { return 0 };
        let (class, host) = (state.class(), state.host);
        let host_capacity = self.hosts.capacity(host);
        if host_capacity == 0 {
            if !std::mem::replace(&mut self.lanes[lane].parked_at_host, true) {
                self.hosts.all[host].parked.push_back(lane);
            }
            return 0;
        }
        if limit_room == 0 {
            if let Some(limit) = self.lanes[lane].limit
                && !std::mem::replace(&mut self.lanes[lane].parked_at_limit, true)
            {
                self.limits[limit].parked.push_back(lane);
            }
            return 0;
        }
        let left = self.class_capacity(class);
        own.min(QUANTUM).min(host_capacity).min(limit_room).min(left)
    }

    /// How many more permits lanes of a class may have.
    pub(super) fn class_capacity(&self, class: Class) -> u32 {
        self.accounts.capacity(class, self.trouble.most(), self.ids.shared())
    }

    /// One permit for a lane that has capacity for it.
    pub(super) fn grant(&mut self, lane: usize) -> Permit {
        let state = &mut self.lanes[lane];
        state.granted += 1;
        self.accounts.used[state.class().index()] += 1;
        self.hosts.all[state.host].used += 1;
        if let Some(limit) = state.limit {
            self.limits[limit].granted += 1;
        }
        let mut permit = self.accounts.permit(Account::Shared, state.limit);
        permit.lane = lane;
        permit.lane_id = state.id;
        permit.host = state.host;
        permit
    }

    /// A permit for an attempt of a limited limit; its lane is known when a claim comes.
    pub(super) fn grant_limited(&mut self, limit: usize) -> Permit {
        self.accounts.limited += 1;
        self.accounts.permit(Account::Limited, Some(limit))
    }

    pub(super) fn grant_probe(&mut self, lane: usize) -> Permit {
        self.accounts.probes += 1;
        let mut permit = self.accounts.permit(Account::Probe, self.lanes[lane].limit);
        permit.lane = lane;
        permit.lane_id = self.lanes[lane].id;
        permit
    }

    /// Whether this scheduler gave the permit out, and not an earlier one of the process.
    pub(super) fn is_ours(&self, permit: &Permit) -> bool {
        permit.generation == self.accounts.generation
    }

    /// Takes a permit back.
    pub(super) fn give_back(&mut self, permit: Permit) {
        if self.is_ours(&permit) {
            match permit.account {
                Account::Shared => self.give_back_shared(&permit),
                Account::Limited => self.accounts.limited -= 1,
                Account::Probe => self.accounts.probes -= 1,
            }
        }
        permit.retire();
    }

    fn give_back_shared(&mut self, permit: &Permit) {
        let state = &mut self.lanes[permit.lane];
        state.granted -= 1;
        self.accounts.used[state.class().index()] -= 1;
        self.accounts.claimed -= u32::from(permit.has_claim);
        self.hosts.all[permit.host].used -= 1;
        if let Some(limit) = permit.limit {
            self.limits[limit].granted -= 1;
            self.wake_at_limit(limit);
        }
        self.wake_at_host(permit.host);
        self.enqueue(permit.lane);
    }

    /// One lane that waited at a host tries again.
    pub(super) fn wake_at_host(&mut self, host: usize) {
        if self.hosts.capacity(host) > 0
            && let Some(lane) = self.hosts.all[host].parked.pop_front()
        {
            self.lanes[lane].parked_at_host = false;
            self.enqueue(lane);
        }
    }

    /// One lane that waited for permits of its limit tries again.
    pub(super) fn wake_at_limit(&mut self, limit: usize) {
        let state = &mut self.limits[limit];
        if state.granted < state.granted_max()
            && let Some(lane) = state.parked.pop_front()
        {
            self.lanes[lane].parked_at_limit = false;
            self.enqueue(lane);
        }
    }

    /// Changes a lane's standing; its permits count under its new class from then on.
    pub(super) fn change_standing<R>(
        &mut self,
        lane: usize,
        change: impl FnOnce(&mut Standing) -> R,
    ) -> R {
        let state = &mut self.lanes[lane];
        let before = state.class();
        let result = change(&mut state.standing);
        let after = state.class();
        if before != after {
            self.accounts.used[before.index()] -= state.granted;
            self.accounts.used[after.index()] += state.granted;
            self.serving.reclassified(lane, after);
        }
        result
    }
}
