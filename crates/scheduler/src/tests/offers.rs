//! What intake of the same process may claim with its commit.

use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, LaneId};
use uuid::Uuid;

use super::super::*;
use super::lanes::status;

type Told = Vec<Command<()>>;

/// One that has looked at its one lane.
struct Bench {
    scheduler: Scheduler<()>,
    now: u64,
    offers: u64,
}

impl Bench {
    fn new(lane: LaneStatus) -> Self {
        let settings = Settings { permits: 16, ..Settings::default() };
        let mut bench = Self { scheduler: Scheduler::new(settings), now: 0, offers: 0 };
        bench.hears(Event::Timeout);
        bench.hears(Event::Renewed { leases: Vec::new() });
        bench.knows(lane);
        bench
    }

    fn knows(&mut self, lane: LaneStatus) -> Told {
        self.hears(Event::Polled { lanes: vec![lane], next: None })
    }

    fn hears(&mut self, event: Event<()>) -> Told {
        self.now += 1;
        let mut told = Vec::new();
        self.scheduler.on(Millis(self.now), event, &mut told);
        while self.scheduler.next_wakeup().is_some_and(|at| at <= Millis(self.now)) {
            self.scheduler.on(Millis(self.now), Event::Timeout, &mut told);
        }
        self.scheduler.audit().unwrap();
        told
    }

    /// Offers so many deliveries of the lane; the claim that is allowed, if one is.
    fn offers(&mut self, count: u128) -> Option<(Batch, Vec<DeliveryId>)> {
        self.offers += 1;
        let (offer, first) = (Offer(self.offers), u128::from(self.offers) * 1_000);
        let ids = (0..count).map(|number| DeliveryId(Uuid::from_u128(first + number)));
        let deliveries = ids.map(|id| (id, LaneId(1))).collect();
        let mut answers = Vec::new();
        for command in self.hears(Event::Offered { offer, deliveries }) {
            match command {
                Command::ClaimAtIntake { offer: of, batch, ids } if of == offer => {
                    answers.push(Some((batch, ids)));
                }
                Command::Decline { offer: of } if of == offer => answers.push(None),
                _ => {}
            }
        }
        assert_eq!(answers.len(), 1, "each offer is answered once");
        answers.remove(0)
    }

    fn claimed(&mut self, batch: Batch, ids: &[DeliveryId]) -> Vec<Permit> {
        let claim = |id: &DeliveryId| ClaimedDelivery {
            key: ClaimKey { id: *id, claim_no: ClaimNo(1) },
            lane: LaneId(1),
            length: Duration::from_mins(1),
            timeout: Duration::from_secs(10),
            payload: (),
        };
        let claims = ids.iter().map(claim).collect();
        let told = self.hears(Event::Claimed { batch, claims });
        let started = told.into_iter().filter_map(|command| match command {
            Command::Start { permit, .. } => Some(permit),
            _ => None,
        });
        started.collect()
    }
}

fn open() -> LaneStatus {
    let mut lane = status(Pacing::Unlimited);
    lane.limit.terms.concurrency = 64;
    lane
}

#[test]
fn what_an_idle_lane_has_permits_for_is_claimed_and_started() {
    let mut bench = Bench::new(open());
    let (batch, ids) = bench.offers(100).unwrap();
    assert!((1..16).contains(&ids.len()), "a new lane has few: {}", ids.len());
    let permits = bench.claimed(batch, &ids[1..]);
    assert_eq!(permits.len(), ids.len() - 1, "the store did not claim one of them");
    permits.into_iter().for_each(Permit::forfeit);
}

#[test]
fn a_commit_that_claims_nothing_gives_the_permits_back() {
    let mut bench = Bench::new(open());
    let (_, most) = bench.offers(100).unwrap();
    assert!(bench.offers(100).is_none(), "all permits of the lane are asked for");
    let mut bench = Bench::new(open());
    for _ in 0..3 {
        let (batch, ids) = bench.offers(100).unwrap();
        assert_eq!(ids.len(), most.len());
        bench.claimed(batch, &[]);
    }
}

#[test]
fn what_is_due_goes_first() {
    let mut bench = Bench::new(open());
    // No claim is asked for before the time-out.
    let mut told = Vec::new();
    bench.scheduler.on(Millis(bench.now), Event::Woken(vec![LaneId(1)]), &mut told);
    let deliveries = vec![(DeliveryId(Uuid::from_u128(1)), LaneId(1))];
    let offered = Event::Offered { offer: Offer(1), deliveries };
    bench.scheduler.on(Millis(bench.now), offered, &mut told);
    assert!(matches!(told.as_slice(), [Command::Decline { .. }]), "{told:?}");
}

#[test]
fn nothing_is_claimed_of_lanes_that_are_closed_limited_or_not_known() {
    let held = LaneStatus { hold: Hold::Held, ..open() };
    let limited = status(Pacing::Limited { pace: None });
    let mut other = open();
    other.lane = LaneId(2);
    for lane in [held, limited, other] {
        assert!(Bench::new(lane.clone()).offers(1).is_none(), "{lane:?}");
    }
}

#[test]
fn nothing_is_claimed_before_the_heartbeat_nor_after_the_stop() {
    let mut early: Bench =
        Bench { scheduler: Scheduler::new(Settings::default()), now: 0, offers: 0 };
    assert!(early.offers(1).is_none());
    let mut bench = Bench::new(open());
    bench.hears(Event::Stop);
    assert!(bench.offers(1).is_none());
}

#[test]
fn a_commit_of_which_nobody_knows_is_given_back() {
    let mut bench = Bench::new(open());
    let (batch, ids) = bench.offers(3).unwrap();
    let told = bench.hears(Event::ClaimFailed { batch, commit: CommitResult::Unknown });
    let scope = told.iter().find_map(|command| match command {
        Command::Unclaim { scope, .. } => Some(scope.clone()),
        _ => None,
    });
    let later = || Scope::Fresh(ids.clone());
    // The store is left alone for a moment after a failure.
    let scope = scope.or_else(|| {
        bench.now += 100;
        bench.hears(Event::Timeout).iter().find_map(|command| match command {
            Command::Unclaim { scope, .. } => Some(scope.clone()),
            _ => None,
        })
    });
    assert_eq!(scope, Some(later()));
}
