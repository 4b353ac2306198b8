//! What is under way, counted where it is bounded: the process, its classes, its hosts.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use postrider_domain::LaneId;

use super::standing::Class;
use crate::permit::{Account, Permit, StopFlag, Ticket};
use crate::{Millis, Settings};

/// Attempts of all limited limits together, claims that are asked for among them.
const LIMITED_MAX: u32 = 1_024;
/// Probes at once.
const PROBES_MAX: u32 = 32;
/// What lanes that are new, or slow, may have of all permits: a quarter each. The rest is a
/// reserve for lanes that answer.
const CLASS_SHARE: u32 = 4;
/// What one host may have of all permits: half.
const HOST_SHARE: u32 = 2;

/// The permits of a process.
#[derive(Debug)]
pub(crate) struct Accounts {
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
    pub(crate) fn new(settings: Settings) -> Self {
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
    pub(crate) fn capacity(&self, class: Class, most: u32, claims: u32) -> u32 {
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
    pub(crate) fn limited_capacity(&self, most: u32) -> u32 {
        LIMITED_MAX.min(most).saturating_sub(self.limited)
    }

    pub(crate) fn probe_room(&self) -> u32 {
        PROBES_MAX.saturating_sub(self.probes)
    }

    /// The permit is one of a claim from here on.
    pub(crate) fn carries_claim(&mut self, permit: &mut Permit) {
        permit.has_claim = true;
        self.claimed += 1;
    }

    pub(crate) fn used(&self, class: Class) -> u32 {
        self.used[class.index()]
    }

    pub(crate) fn limited(&self) -> u32 {
        self.limited
    }

    /// Everything that is out.
    pub(crate) fn total(&self) -> u32 {
        self.used.iter().sum::<u32>() + self.limited + self.probes
    }

    /// A permit for a lane of this class.
    pub(crate) fn grant(&mut self, class: Class, limit: Option<usize>) -> Permit {
        self.used[class.index()] += 1;
        self.permit(Account::Shared, limit)
    }

    pub(crate) fn grant_limited(&mut self, limit: usize) -> Permit {
        self.limited += 1;
        self.permit(Account::Limited, Some(limit))
    }

    pub(crate) fn grant_probe(&mut self, limit: Option<usize>) -> Permit {
        self.probes += 1;
        self.permit(Account::Probe, limit)
    }

    /// Whether this scheduler gave the permit out, and not an earlier one of the process.
    pub(crate) fn is_ours(&self, permit: &Permit) -> bool {
        permit.generation == self.generation
    }

    /// A lane's permit is back; its lane has this class now.
    pub(crate) fn take_back(&mut self, permit: &Permit, class: Class) {
        self.used[class.index()] -= 1;
        self.claimed -= u32::from(permit.has_claim);
    }

    pub(crate) fn take_back_limited(&mut self) {
        self.limited -= 1;
    }

    pub(crate) fn take_back_probe(&mut self) {
        self.probes -= 1;
    }

    /// So many permits are of a lane that has another class now.
    pub(crate) fn reclassify(&mut self, permits: u32, before: Class, after: Class) {
        self.used[before.index()] -= permits;
        self.used[after.index()] += permits;
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
pub(crate) struct Hosts {
    all: Vec<Host>,
    by_name: HashMap<Arc<str>, usize>,
    share: u32,
}

impl Hosts {
    /// Where lanes are that were not polled yet.
    pub(crate) const UNKNOWN: usize = 0;

    pub(crate) fn new(permits: u32) -> Self {
        let share = (permits / HOST_SHARE).max(1);
        Self { all: vec![Host::default()], by_name: HashMap::new(), share }
    }

    pub(crate) fn index(&mut self, name: &Arc<str>) -> usize {
        if let Some(host) = self.by_name.get(name) {
            return *host;
        }
        self.all.push(Host::default());
        self.by_name.insert(Arc::clone(name), self.all.len() - 1);
        self.all.len() - 1
    }

    /// A permit for one of its lanes.
    pub(crate) fn grant(&mut self, host: usize) {
        self.all[host].used += 1;
    }

    pub(crate) fn take_back(&mut self, host: usize) {
        self.all[host].used -= 1;
    }

    /// The lane waits for one of the host's permits.
    pub(crate) fn park(&mut self, host: usize, lane: usize) {
        self.all[host].parked.push_back(lane);
    }

    /// The lane that has waited longest, if there is a permit for it.
    pub(crate) fn unpark(&mut self, host: usize) -> Option<usize> {
        (self.capacity(host) > 0).then(|| self.all[host].parked.pop_front()).flatten()
    }

    pub(crate) fn used(&self) -> u32 {
        self.all.iter().map(|host| host.used).sum()
    }

    pub(crate) fn capacity(&self, host: usize) -> u32 {
        self.share.saturating_sub(self.all[host].used)
    }
}
