//! What happens, and when.

use crate::parts::Delivery;
use crate::time::Millis;

/// What happens.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Publish(usize),
    BuildBegins(usize),
    /// A build's results come pair by pair: what it verified of the pair, with which version.
    BuildResult {
        pair: usize,
        version: u32,
        contracts: Vec<u32>,
        success: bool,
    },
    /// The build's version is given, and the first results.
    BuildEnds {
        provider: usize,
        verified: Vec<(usize, Vec<u32>)>,
    },
    Deploy(usize),
    DeployConsumer(usize),
    Attempt(Delivery),
    Result {
        delivery: Delivery,
        taken_at: Millis,
    },
    Look(usize),
    Judge(usize),
    Evaluate,
    Round,
    LookForRelay,
    Controls,
    Plant(usize),
    Mend(usize),
}

/// One thing that happens, earliest first, and of one instant in the order in which it was planned.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) at: Millis,
    pub(crate) number: u64,
    pub(crate) what: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
