//! A contract against the provider versions that count.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::role::Role;
use super::standing::Counted;

/// A provider version's newest result for a contract's content, whichever consumer version it was
/// asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionResult {
    /// The provider version.
    pub provider_version: String,
    /// Whether it keeps the contract.
    pub success: bool,
    /// When it was published.
    pub at: Timestamp,
}

/// What a consumer version published for one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The consumer version.
    pub consumer_version: String,
    /// The lines that it is the newest contract of.
    pub lines: Vec<Role>,
    /// When it was published.
    pub published_at: Timestamp,
    /// Since when it is deployed or supported anywhere; `None` when it is nowhere.
    pub placed_since: Option<Timestamp>,
    /// Results for its content of the provider versions that count; others may be among them.
    pub results: Vec<VersionResult>,
}

/// When a debt came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// With the publication: the broker told of it, or should have.
    Published,
    /// Later, by a build, a deployment, a release or another main branch, of which the broker
    /// tells nobody.
    Later,
}

impl Due {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Published, Self::Later];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Later => "later",
        }
    }
}

/// A provider version that counts and has no result for a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// The lines that it is the newest contract of.
    pub lines: Vec<Role>,
    /// When it was published.
    pub published_at: Timestamp,
    /// The version that owes.
    pub provider: Counted,
    /// Whether the broker should have told of it.
    pub due: Due,
    /// Whether it stops a deployment now.
    pub blocking: bool,
    /// Since when this version owes this contract. That the version before, or the contract
    /// before, owed without a break is known to [`Past`](super::Past) only.
    pub since: Timestamp,
    /// It was not owed right before. Else it may have been owed for longer than is seen.
    pub is_begin_seen: bool,
}

/// A provider version that counts and does not keep a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedResult {
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// The lines that it is the newest contract of.
    pub lines: Vec<Role>,
    /// The version that failed.
    pub provider: Counted,
    /// When it failed.
    pub at: Timestamp,
}

/// A deployed consumer's content that the provider's main head has no result for: the provider
/// can't be deployed beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// The consumer version that published the contract.
    pub consumer_version: String,
    /// Where it is deployed or supported.
    pub lines: Vec<Role>,
    /// The provider's main head.
    pub provider_version: String,
    /// Since when there is none.
    pub since: Timestamp,
}

impl Contract {
    /// The newest result of a version.
    pub fn result_of(&self, version: &str) -> Option<&VersionResult> {
        let of_it = self.results.iter().filter(|result| result.provider_version == version);
        of_it.max_by_key(|result| result.at)
    }

    /// Debts, in the broker's order. A content that is deployed but no newest contract of main is
    /// nothing that main owes: there it only holds back.
    pub fn owes(&self, counts: &[Counted]) -> Vec<Debt> {
        let without = counts.iter().filter(|counted| self.result_of(&counted.version).is_none());
        without
            .filter(|counted| !(self.is_placed_alone() && counted.is_main_alone()))
            .map(|counted| self.debt(counted))
            .collect()
    }

    /// Versions that count whose newest result is a failure.
    pub fn failed(&self, counts: &[Counted]) -> Vec<FailedResult> {
        let failed = |counted: &Counted| {
            let result = self.result_of(&counted.version)?;
            (!result.success).then(|| FailedResult {
                consumer_version: self.consumer_version.clone(),
                lines: self.lines.clone(),
                provider: counted.clone(),
                at: result.at,
            })
        };
        counts.iter().filter_map(failed).collect()
    }

    /// Whether it holds the provider's main head back.
    pub fn holds_back(&self, counts: &[Counted]) -> Option<HeldBack> {
        let lines: Vec<Role> = self.lines.iter().filter(|line| is_placed(line)).cloned().collect();
        let (head, since) = counts.iter().find_map(|counted| {
            let main = counted.because.iter().find(|(role, _)| *role == Role::Main)?;
            Some((counted, main.1))
        })?;
        let holds = !lines.is_empty() && self.result_of(&head.version).is_none();
        holds.then(|| HeldBack {
            consumer_version: self.consumer_version.clone(),
            lines,
            provider_version: head.version.clone(),
            since: since.max(self.published_at).max(self.placed_since.unwrap_or(since)),
        })
    }

    fn is_placed_alone(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(is_placed)
    }

    fn debt(&self, counted: &Counted) -> Debt {
        let counts_since = counted.since().unwrap_or(self.published_at);
        // Whoever counted when the contract came was told of it.
        let counted_then = counts_since <= self.published_at;
        Debt {
            consumer_version: self.consumer_version.clone(),
            lines: self.lines.clone(),
            published_at: self.published_at,
            provider: counted.clone(),
            due: if counted_then { Due::Published } else { Due::Later },
            blocking: counted.is_blocking(),
            since: counts_since.max(self.published_at),
            is_begin_seen: false,
        }
    }
}

fn is_placed(line: &Role) -> bool {
    match line {
        Role::Deployed(_) | Role::Released(_) => true,
        Role::Main | Role::Branch(_) | Role::Tag(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap()
    }

    #[test]
    fn the_newest_result_of_the_version_itself_counts() {
        let result = |version: &str, success, hour| VersionResult {
            provider_version: version.to_owned(),
            success,
            at: at(hour),
        };
        let contract = Contract {
            consumer_version: "c".to_owned(),
            lines: vec![Role::Main],
            published_at: at(0),
            placed_since: None,
            results: vec![result("p", false, 2), result("p", true, 3), result("q", false, 9)],
        };
        assert_eq!(contract.result_of("p").map(|result| result.success), Some(true));
        assert_eq!(contract.result_of("r"), None);
    }

    /// What is newest on main alone holds nobody back: it is owed, or failed.
    #[test]
    fn only_what_is_placed_holds_a_head_back() {
        let counts = [Counted {
            version: "p".to_owned(),
            main_branch: Some("main".to_owned()),
            because: vec![(Role::Main, at(10))],
        }];
        for (line, holds) in [
            (Role::Main, false),
            (Role::Branch("x".to_owned()), false),
            (Role::Tag("x".to_owned()), false),
            (Role::Deployed("prod".to_owned()), true),
            (Role::Released("prod".to_owned()), true),
        ] {
            let contract = Contract {
                consumer_version: "c".to_owned(),
                lines: vec![line.clone()],
                published_at: at(0),
                placed_since: None,
                results: Vec::new(),
            };
            assert_eq!(contract.holds_back(&counts).is_some(), holds, "{line:?}");
        }
    }

    #[test]
    fn a_head_is_held_back_since_the_content_is_deployed() {
        let contract = |placed_since| Contract {
            consumer_version: "c".to_owned(),
            lines: vec![Role::Deployed("prod".to_owned())],
            published_at: at(0),
            placed_since,
            results: Vec::new(),
        };
        let counts = [Counted {
            version: "p".to_owned(),
            main_branch: Some("main".to_owned()),
            because: vec![(Role::Main, at(10))],
        }];
        for (placed_since, expected) in [(None, 10), (Some(5), 10), (Some(200), 200)] {
            let held = contract(placed_since.map(at)).holds_back(&counts);
            assert_eq!(held.map(|held| held.since), Some(at(expected)), "{placed_since:?}");
        }
    }
}
