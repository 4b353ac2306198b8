//! What goes wrong: what each fault does.

use postrider_domain::LaneId;
use postrider_scheduler::Event;

use crate::fault::{Fault, Leader};
use crate::happening::Happening;
use crate::process::{Phase, Process};
use crate::target::Weather;
use crate::trace::told;
use crate::world::World;

/// The longest window of a rate, in milliseconds: what left before a clock jumped is in it.
const LONGEST_WINDOW: u64 = 60_000;

impl World {
    pub(crate) fn strikes(&mut self, fault: Fault) {
        told!(self, "fault: {fault:?}");
        match fault {
            Fault::Crash { slot, restarts_after } => {
                self.dies(self.processes[slot].who(), restarts_after);
            }
            Fault::CrashAmidst { slot, commands } => {
                self.processes[slot].dies_after = Some(commands);
            }
            Fault::Freeze { slot, lasts } => {
                let frozen_until = &mut self.processes[slot].frozen_until;
                *frozen_until = (*frozen_until).max(self.now + lasts);
            }
            Fault::Stop { slot } => self.stop(slot),
            Fault::Leader(leader) => self.leader_meets(leader),
            Fault::CutStore { slot, lasts, is_refused } => {
                self.processes[slot].store_cut_until = self.now + lasts;
                self.processes[slot].is_refused = is_refused;
            }
            Fault::CutQueue { slot, lasts } => {
                self.processes[slot].queue_cut_until = self.now + lasts;
                if let Some(connection) = self.processes[slot].connection {
                    let noticed_after = self.chance.within(100..=4_000);
                    self.at(noticed_after, Happening::ConnectionLost(connection));
                }
            }
            Fault::Trouble { slot, lasts } => self.processes[slot].trouble_until = self.now + lasts,
            Fault::Panics { slot, count } => self.processes[slot].panics += count,
            Fault::Ahead { slot, by } => {
                self.processes[slot].clock_ahead += by;
                self.processes[slot].disturbed_at = self.now;
                self.checks.is_lenient(self.now + by + LONGEST_WINDOW);
            }
            Fault::StoreAway { lasts } => {
                self.store_away_until = self.store_away_until.max(self.now + lasts);
            }
            Fault::StoreSlow { lasts } => self.slow_store_until = self.now + lasts,
            Fault::Lossy { lasts } => self.lossy_until = self.now + lasts,
            Fault::QueueAway { lasts } => self.queue_goes(lasts),
            Fault::StoreClock { by } => {
                self.clock_moved += by.unsigned_abs();
                self.store_ahead += by;
                self.disturbed_at = self.now;
                self.checks.is_lenient(self.now + 30_000 + by.unsigned_abs() + LONGEST_WINDOW);
            }
            Fault::Weather { lane, weather, lasts } => {
                if let Some(target) = self.targets.get_mut(&LaneId(lane)) {
                    target.weather = weather;
                    self.at(lasts, Happening::Fault(Fault::Clears { lane }));
                }
            }
            Fault::Clears { lane } => self.clears(LaneId(lane)),
            Fault::DeadToken { number, lasts } => self.token_dies(number, lasts),
            Fault::LiveToken { number } => self.credentials.lives(number),
            Fault::Edit(edit) => self.edits(&edit),
        }
    }

    fn clears(&mut self, lane: LaneId) {
        if let Some(target) = self.targets.get_mut(&lane) {
            target.weather = Weather::Fine(30);
        }
    }

    fn token_dies(&mut self, number: usize, lasts: u64) {
        self.credentials.dies(number);
        self.at(lasts, Happening::Fault(Fault::LiveToken { number }));
    }

    fn leader_meets(&mut self, leader: Leader) {
        let owner = self.model.limits().find_map(|(_, limit)| limit.owner);
        let of = |process: &Process| Some(process.worker) == owner;
        let Some(slot) = self.processes.iter().position(of) else { return };
        match leader {
            Leader::Stays => {}
            Leader::Dies(commands) => self.strikes(Fault::CrashAmidst { slot, commands }),
            Leader::Freezes(lasts) => self.strikes(Fault::Freeze { slot, lasts }),
            Leader::Stops => self.stop(slot),
        }
    }

    /// A graceful stop.
    pub(crate) fn stop(&mut self, slot: usize) {
        let process = &mut self.processes[slot];
        if process.brain.is_some() && process.phase == Phase::Running {
            process.phase = Phase::Stopping(self.now);
            let who = process.who();
            self.tell(who, Event::Stop);
        }
    }

    fn queue_goes(&mut self, lasts: u64) {
        self.queue_away_until = self.now + lasts;
        for slot in 0..self.processes.len() {
            if let Some(connection) = self.processes[slot].connection {
                self.connection_lost(connection);
            }
        }
    }
}
