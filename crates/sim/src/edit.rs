//! A change that somebody makes.

use postrider_domain::{LaneLimits, Rate};

use crate::chance::Chance;
use crate::plan::any_limits;

/// A change.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// A webhook is put into a lane, enabled or not.
    Webhook { number: usize, lane: usize, enabled: bool },
    /// A webhook is deleted.
    Delete { number: usize },
    /// A lane's secret has another value.
    Secret { lane: usize },
    /// It has none.
    NoSecret { lane: usize },
    /// A secret that one webhook has for itself has another value, which the target knows or not.
    OwnSecret { number: usize, is_alive: bool },
    /// A webhook gets another request in its lane.
    Request { number: usize, is_alive: bool },
    /// An operator releases a webhook.
    ReleaseWebhook { number: usize },
    /// An operator holds a lane, and opens it after so many milliseconds.
    Hold { lane: usize, lasts: u64 },
    /// An operator opens it.
    Release { lane: usize },
    /// Settings give a limit other terms, maybe of the other kind.
    Terms { lane: usize, limits: LaneLimits },
    /// Settings join a lane to the limit of another one.
    Join { lane: usize, to: usize },
}

impl Edit {
    pub(crate) fn any(chance: &mut Chance, lanes: usize) -> Self {
        let lane = chance.count(0..=lanes - 1);
        let number = chance.count(0..=lanes);
        let is_alive = chance.one_in(2);
        match chance.within(0..=13) {
            0..=2 => Self::Webhook { number, lane, enabled: !chance.one_in(4) },
            3 => Self::Delete { number },
            4 | 5 => Self::Secret { lane },
            6 => Self::NoSecret { lane },
            7 => Self::Hold { lane, lasts: chance.mostly_small(30_000) },
            8 => Self::Release { lane },
            9 => Self::OwnSecret { number, is_alive },
            10 => Self::Request { number, is_alive },
            11 => Self::ReleaseWebhook { number },
            12 => Self::Terms { lane, limits: other_limits(chance) },
            _ => Self::Join { lane, to: chance.count(0..=lanes - 1) },
        }
    }
}

/// Not so slow that a seed can't end.
fn other_limits(chance: &mut Chance) -> LaneLimits {
    let limits = any_limits(chance, &mut 0);
    match limits.rate {
        Rate::Limited { count: 10, .. } => {
            let per = std::time::Duration::from_secs(1);
            LaneLimits { rate: Rate::Limited { count: 5, per }, ..limits }
        }
        Rate::Limited { .. } | Rate::Unlimited => limits,
    }
}
