//! Whether a debt that is found at the broker needs an event.

use jiff::{SignedDuration, Timestamp};

use super::contract::{Debt, Due};

/// A broker's clock may be so much behind ours.
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);

/// What is made of a debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was owed when the broker was met: nobody's event.
    FirstContact,
    /// The broker told of it, or should have: an event, unless one told of it already.
    Tell,
    /// It came to be owed after the contract was first seen: shown, and no event.
    Later,
}

/// What was known of a contract before it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// When the first walk over the broker began; `None` during the first walk.
    pub first_contact: Option<Timestamp>,
    /// The last look at the pair before this; `None` when there was none.
    pub looked_at: Option<Looked>,
    /// The contract was seen by a look before this.
    pub is_known: bool,
}

/// A look before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// By whoever looks now, who remembers the contracts that there were.
    Here(Timestamp),
    /// By another, of which only the time is known.
    Elsewhere(Timestamp),
}

impl Sight {
    /// Whether the contract came after the look before this one, so that this is the first look
    /// at it: whatever counts now was to be told.
    pub fn is_first_look(&self, published_at: Timestamp) -> bool {
        match self.looked_at {
            _ if self.is_known => false,
            Some(Looked::Here(at)) => {
                published_at > at.saturating_sub(CLOCKS).unwrap_or(Timestamp::MIN)
            }
            Some(Looked::Elsewhere(at)) => published_at > at,
            None => false,
        }
    }
}

/// What is made of a debt of a contract.
pub fn fate(debt: &Debt, sight: &Sight) -> Fate {
    match sight.first_contact {
        None => Fate::FirstContact,
        Some(met) if debt.published_at < second_of(met) => Fate::FirstContact,
        Some(_) if sight.is_known => Fate::Later,
        Some(_) if sight.is_first_look(debt.published_at) => Fate::Tell,
        Some(_) => match debt.due {
            Due::Published => Fate::Tell,
            Due::Later => Fate::Later,
        },
    }
}

/// A broker tells whole seconds (Pact Broker 2.120): what was published after an instant may look
/// as if it had been before it, within its second.
fn second_of(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owed::Counted;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn debt(published: i64, due: Due) -> Debt {
        Debt {
            consumer_version: "1".to_owned(),
            lines: Vec::new(),
            published_at: at(published),
            provider: Counted { version: "p".to_owned(), main_branch: None, because: Vec::new() },
            due,
            blocking: false,
            since: at(published),
            is_begin_seen: false,
        }
    }

    fn sight(first_contact: Option<i64>, looked_at: Option<Looked>, is_known: bool) -> Sight {
        Sight { first_contact: first_contact.map(at), looked_at, is_known }
    }

    #[test]
    fn a_publication_within_the_second_of_the_first_contact_is_news() {
        let met = at(10) + SignedDuration::from_millis(300);
        let seen =
            Sight { first_contact: Some(met), looked_at: Some(Looked::Here(met)), is_known: false };
        assert_eq!(fate(&debt(10, Due::Later), &seen), Fate::Tell);
    }

    #[test]
    fn what_is_owed_at_first_contact_is_nobodys_event() {
        for due in Due::ALL {
            assert_eq!(fate(&debt(5, due), &sight(None, None, false)), Fate::FirstContact);
            let later = sight(Some(10), Some(Looked::Elsewhere(at(20))), false);
            assert_eq!(fate(&debt(5, due), &later), Fate::FirstContact);
        }
    }

    /// A provider that builds after its contracts were verified owes them anew, and nobody is told.
    #[test]
    fn what_comes_to_a_contract_that_was_seen_is_later() {
        let seen = sight(Some(0), Some(Looked::Here(at(60))), true);
        assert_eq!(fate(&debt(5, Due::Later), &seen), Fate::Later);
        assert_eq!(fate(&debt(5, Due::Published), &seen), Fate::Later);
    }

    #[test]
    fn at_the_first_look_whatever_counts_is_told_of() {
        let own = sight(Some(0), Some(Looked::Here(at(60))), false);
        for due in Due::ALL {
            assert_eq!(fate(&debt(61, due), &own), Fate::Tell);
            // By a clock that is behind.
            assert_eq!(fate(&debt(55, due), &own), Fate::Tell);
        }
        // It comes to light again, because newer ones were deleted.
        assert_eq!(fate(&debt(49, Due::Later), &own), Fate::Later);
        assert_eq!(fate(&debt(49, Due::Published), &own), Fate::Tell);
    }

    /// After a restart nobody remembers which contracts were seen.
    #[test]
    fn what_another_may_have_seen_is_told_only_if_the_broker_would_have() {
        let resumed = sight(Some(0), Some(Looked::Elsewhere(at(60))), false);
        assert_eq!(fate(&debt(61, Due::Later), &resumed), Fate::Tell);
        assert_eq!(fate(&debt(59, Due::Later), &resumed), Fate::Later);
        assert_eq!(fate(&debt(59, Due::Published), &resumed), Fate::Tell);
    }
}
