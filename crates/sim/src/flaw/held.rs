//! Claims of held lanes: what a leader did that took a wake-up for a reason to claim whatever it
//! knew of the lane.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_domain::{LaneId, LimitId};
use postrider_scheduler::{Batch, Command, Event, Hold, LaneStatus, Lease, Pace, Pacing};
use postrider_store::Claim;

/// How much is claimed at once.
const AT_ONCE: u32 = 4;

/// What is known of lanes and of leases, and what was claimed for lanes that are held.
#[derive(Debug, Default)]
pub(super) struct HeldClaims {
    /// Lanes that are held and whose limit has a pace or a budget, as the last poll said.
    held: BTreeMap<LaneId, (LimitId, Duration)>,
    leases: BTreeMap<LimitId, Lease>,
    asked: BTreeMap<Batch, LaneId>,
    last: u64,
}

impl HeldClaims {
    /// Takes note of an event, and of one that answers its own claims everything.
    pub(super) fn hears(
        &mut self,
        event: Event<Claim>,
        commands: &mut Vec<Command<Claim>>,
    ) -> Option<Event<Claim>> {
        match &event {
            Event::Polled { lanes, .. } => lanes.iter().for_each(|lane| self.polled(lane)),
            Event::Renewed { leases } => {
                self.leases = leases.iter().map(|lease| (lease.limit, *lease)).collect();
            }
            Event::Acquired { limit, lease: Some(lease) } => {
                self.leases.insert(*limit, *lease);
            }
            Event::Woken(lanes) | Event::Received { wake: lanes, .. } => {
                for lane in lanes {
                    self.asks(*lane, commands);
                }
            }
            Event::LimitRefused { batch, .. } | Event::ClaimFailed { batch, .. }
                if self.asked.remove(batch).is_some() =>
            {
                return None;
            }
            _ => {}
        }
        match event {
            Event::Claimed { batch, claims } if self.asked.contains_key(&batch) => {
                let lane = self.asked.remove(&batch)?;
                let is_all = claims.len() >= AT_ONCE as usize;
                let back = claims.into_iter().map(|claim| claim.payload);
                commands
                    .extend(back.map(|claim| Command::Release { claim, due_in: Duration::ZERO }));
                if is_all {
                    self.asks(lane, commands);
                }
                None
            }
            other => Some(other),
        }
    }

    fn polled(&mut self, lane: &LaneStatus) {
        let is_held = matches!(lane.hold, Hold::Held | Hold::ProbeDue);
        match lane.limit.terms.pacing {
            Pacing::Limited { pace } if is_held => {
                let interval = pace.map_or(Duration::ZERO, |Pace { interval, .. }| interval);
                self.held.insert(lane.lane, (lane.limit.id, interval));
            }
            Pacing::Limited { .. } | Pacing::Unlimited => {
                self.held.remove(&lane.lane);
            }
        }
    }

    fn asks(&mut self, lane: LaneId, commands: &mut Vec<Command<Claim>>) {
        let Some((limit, interval)) = self.held.get(&lane).copied() else { return };
        let Some(lease) = self.leases.get(&limit).copied() else { return };
        self.last += 1;
        let batch = Batch::of_test(u64::MAX - self.last);
        self.asked.insert(batch, lane);
        let (count, suspect) = (AT_ONCE, false);
        commands.push(Command::ClaimLimited { batch, lease, count, interval, suspect });
    }
}
