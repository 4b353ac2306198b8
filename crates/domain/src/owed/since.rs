//! Since when a line has been owing without a break.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// A version that took over at a time, until the next one did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version.
    pub version: String,
    /// When it became the newest.
    pub at: Timestamp,
}

/// What is seen of a line and of a debt's version back in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// Contracts of the line.
    pub contracts: Vec<Step>,
    /// For each role of the version the versions that had it.
    pub roles: Vec<Vec<Step>>,
    /// Of each contract the provider versions that have a result for it, whenever that came: a
    /// result that came late is one all the same.
    pub results: BTreeMap<String, BTreeSet<String>>,
    /// There may be older contracts of the line.
    pub has_older: bool,
}

/// Since when something has been owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owing {
    /// Since then, or longer.
    pub since: Timestamp,
    /// It was not owed right before: there was a result.
    pub is_begin_seen: bool,
}

impl Past {
    /// Since when the newest contract of the line and the version in a role have been without a
    /// result, each in its time, without a break: a newer contract or build does not end a debt, a
    /// result does. `None` when nothing is owed now.
    ///
    /// Steps may come in any order; of equal times the later in the list counts as the newer. What
    /// lies before the oldest step is not known, so the answer is never too early.
    pub fn owing(&self) -> Option<Owing> {
        let owing = self.roles.iter().filter_map(|versions| self.in_role(versions));
        owing.reduce(|one, other| Owing {
            since: one.since.min(other.since),
            is_begin_seen: one.is_begin_seen && other.is_begin_seen,
        })
    }

    /// Whether what is owed since then is as old as what is seen, and there is more to see.
    pub fn reaches_back_to(&self, since: Timestamp) -> bool {
        let oldest = |steps: &[Step]| steps.iter().map(|step| step.at).min();
        let edges = self
            .roles
            .iter()
            .filter_map(|versions| Some(oldest(&self.contracts)?.max(oldest(versions)?)));
        self.has_older && edges.min().is_some_and(|edge| since <= edge)
    }

    fn in_role(&self, versions: &[Step]) -> Option<Owing> {
        let (mut contracts, mut versions) = (Line::of(&self.contracts), Line::of(versions));
        let (mut owing, mut is_begin_seen) = (None, false);
        while let Some(now) = contracts.next_at().into_iter().chain(versions.next_at()).min() {
            match (contracts.newest(now), versions.newest(now)) {
                (Some(contract), Some(version)) if self.has_result(contract, version) => {
                    (owing, is_begin_seen) = (None, true);
                }
                (Some(_), Some(_)) => {
                    owing.get_or_insert(Owing { since: now, is_begin_seen });
                }
                (None, _) | (_, None) => {}
            }
        }
        owing
    }

    fn has_result(&self, contract: &Step, version: &Step) -> bool {
        let of_contract = self.results.get(&contract.version);
        of_contract.is_some_and(|versions| versions.contains(&version.version))
    }
}

/// Steps in the order of time, walked through.
struct Line<'a> {
    steps: Vec<&'a Step>,
    walked: usize,
}

impl<'a> Line<'a> {
    fn of(steps: &'a [Step]) -> Self {
        let mut steps: Vec<&Step> = steps.iter().collect();
        steps.sort_by_key(|step| step.at);
        Self { steps, walked: 0 }
    }

    fn next_at(&self) -> Option<Timestamp> {
        self.steps.get(self.walked).map(|step| step.at)
    }

    /// The newest step of then; later ones are still to come.
    fn newest(&mut self, now: Timestamp) -> Option<&'a Step> {
        while self.next_at().is_some_and(|at| at <= now) {
            self.walked += 1;
        }
        self.walked.checked_sub(1).and_then(|last| self.steps.get(last).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn steps(name: &str, minutes: &[i64]) -> Vec<Step> {
        let step = |(number, minute): (usize, &i64)| Step {
            version: format!("{name}{number}"),
            at: at(*minute),
        };
        minutes.iter().enumerate().map(step).collect()
    }

    /// Contracts c0, c1, … and heads p0, p1, … of these minutes.
    fn owing(contracts: &[i64], heads: &[i64], results: &[(&str, &str)]) -> Option<(i64, bool)> {
        let mut past = Past {
            contracts: steps("c", contracts),
            roles: vec![steps("p", heads)],
            ..Past::default()
        };
        for (contract, version) in results {
            let of_contract = past.results.entry((*contract).to_owned()).or_default();
            of_contract.insert((*version).to_owned());
        }
        let owing = past.owing()?;
        Some(((owing.since.as_second() - 1_800_000_000) / 60, owing.is_begin_seen))
    }

    #[test]
    fn a_result_ends_a_debt_and_a_newer_contract_or_build_does_not() {
        assert_eq!(owing(&[1, 2, 3], &[0], &[]), Some((1, false)), "further back is not seen");
        assert_eq!(owing(&[1, 2, 3], &[0], &[("c0", "p0")]), Some((2, true)));
        assert_eq!(owing(&[1, 2, 5], &[0, 3, 4], &[("c0", "p0")]), Some((2, true)));
        assert_eq!(owing(&[1, 2, 3], &[0], &[("c1", "p0")]), Some((3, true)), "late, and a result");
        assert_eq!(owing(&[1, 2], &[0], &[("c1", "p0")]), None);
        assert_eq!(owing(&[1, 2], &[0, 9], &[("c1", "p0")]), Some((9, true)));
        assert_eq!(owing(&[1], &[0, 9], &[("c0", "p1")]), None);
    }

    #[test]
    fn the_longest_of_several_roles_counts() {
        let past = Past {
            contracts: steps("c", &[1, 5]),
            roles: vec![steps("p", &[0]), steps("q", &[0])],
            results: [("c0".to_owned(), ["p0".to_owned()].into())].into(),
            has_older: false,
        };
        assert_eq!(past.owing(), Some(Owing { since: at(1), is_begin_seen: false }));
    }
}
