//! What goes wrong.

use postrider_domain::LaneId;
use postrider_scheduler::Event;

use crate::chance::Chance;
use crate::edits::Edit;
use crate::happening::Happening;
use crate::process::{Phase, Process};
use crate::rates::Leader;
use crate::target::{Weather, any};
use crate::trace::told;
use crate::world::World;

/// The longest window of a rate, in milliseconds: what left before a clock jumped is in it.
const LONGEST_WINDOW: u64 = 60_000;

/// Something that goes wrong, or that somebody does. Times are in milliseconds.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// A process is killed.
    Crash { slot: usize, restarts_after: u64 },
    /// It is killed between two commands.
    CrashAmidst { slot: usize, commands: u32 },
    /// It is stopped and goes on later.
    Freeze { slot: usize, lasts: u64 },
    /// It is asked to stop, and another one takes its place.
    Stop { slot: usize },
    /// Whoever leads the first limit meets this.
    Leader(Leader),
    /// It is cut off from the store.
    CutStore { slot: usize, lasts: u64, is_refused: bool },
    /// It is cut off from the queue.
    CutQueue { slot: usize, lasts: u64 },
    /// Its machine is out of something.
    Trouble { slot: usize, lasts: u64 },
    /// Some of its attempts panic.
    Panics { slot: usize, count: u32 },
    /// Its clock jumps ahead.
    Ahead { slot: usize, by: u64 },
    /// The store is away.
    StoreAway { lasts: u64 },
    /// The store is slow.
    StoreSlow { lasts: u64 },
    /// Single connections to the store die without a word.
    Lossy { lasts: u64 },
    /// The queue is away.
    QueueAway { lasts: u64 },
    /// The store's clock jumps.
    StoreClock { by: i64 },
    /// The weather at a lane's target changes, for a while.
    Weather { lane: i64, weather: Weather, lasts: u64 },
    /// It is fine again.
    Clears { lane: i64 },
    /// The credential that a webhook has for itself is dead for a while.
    DeadToken { number: usize, lasts: u64 },
    /// It lives again.
    LiveToken { number: usize },
    /// Somebody changes something.
    Edit(Edit),
}

pub(crate) fn any_fault(chance: &mut Chance, workers: usize, lanes: usize) -> Fault {
    let slot = chance.count(0..=workers - 1);
    let lane = i64::try_from(chance.count(1..=lanes)).unwrap_or(1);
    let lasts = chance.mostly_small(15_000);
    match chance.within(0..=29) {
        0 | 1 => Fault::Crash { slot, restarts_after: chance.within(100..=15_000) },
        2 | 3 => {
            let commands = u32::try_from(chance.within(0..=30)).unwrap_or(0);
            Fault::CrashAmidst { slot, commands }
        }
        4 => Fault::Freeze { slot, lasts: chance.mostly_small(60_000) },
        5 | 6 => Fault::Freeze { slot, lasts: chance.mostly_small(12_000) },
        7 => Fault::Stop { slot },
        8 => Fault::CutStore { slot, lasts, is_refused: chance.one_in(2) },
        9 => Fault::CutQueue { slot, lasts },
        10 => Fault::Trouble { slot, lasts },
        11 => Fault::Panics { slot, count: 1 },
        12 => match chance.within(0..=2) {
            0 => Fault::Ahead { slot, by: chance.within(1..=20_000) },
            1 => Fault::StoreClock { by: -i64::try_from(lasts).unwrap_or(0) },
            _ => Fault::StoreClock { by: i64::try_from(lasts).unwrap_or(0) },
        },
        13 => Fault::StoreAway { lasts },
        14 => Fault::StoreSlow { lasts },
        15 | 16 => Fault::Lossy { lasts: lasts + 5_000 },
        17 => Fault::QueueAway { lasts },
        18..=21 => {
            let weather = if chance.one_in(3) { Weather::Mixed } else { any(chance) };
            Fault::Weather { lane, weather, lasts }
        }
        22 | 23 => Fault::DeadToken { number: chance.count(0..=lanes), lasts },
        _ => Fault::Edit(Edit::any(chance, lanes)),
    }
}

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
