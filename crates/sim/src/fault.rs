//! Something that goes wrong.

use crate::chance::Chance;
use crate::edit::Edit;
use crate::target::{Weather, any};

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

/// What happens to a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leader {
    /// It stays.
    Stays,
    /// It is killed after so many commands more.
    Dies(u32),
    /// It stands still for so many milliseconds.
    Freezes(u64),
    /// It is asked to stop.
    Stops,
}
