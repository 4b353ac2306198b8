//! What is found about a pair. Without `--any-result` the broker's own rule finds it; with it the
//! plain question is asked whether any result is recent, a pure decision over the matrix.

use std::time::Duration;

use jiff::Timestamp;
use postrider_broker::{BrokerError, MatrixRow, Pair};
use postrider_domain::QuietDays;

use super::rule::Owes;
use crate::Exit;
use crate::broker::failure;

/// What is asked about one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) pair: Pair,
    /// How old the newest result may be, this age included.
    pub(super) max_age: Duration,
}

/// How all pairs are judged when any result counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<'a> {
    /// Whether failed results don't count.
    pub(super) success_only: bool,
    /// What doesn't count as age.
    pub(super) quiet: &'a QuietDays,
    /// The time of the check.
    pub(super) now: Timestamp,
}

/// A pair's newest result that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) verified_at: Timestamp,
    /// Without what fell on quiet days.
    pub(super) age: Duration,
    pub(super) success: bool,
    pub(super) consumer_version: String,
    pub(super) provider_version: String,
    pub(super) url: String,
}

/// What is known about one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Judged by the broker's own rule, with the newest result of the versions that count.
    Judged(Box<Owes>, Option<Newest>),
    /// Verified recently.
    Fresh(Newest),
    /// Verified too long ago.
    Stale(Newest),
    /// Without a result that counts.
    Unverified {
        /// When its newest contract was published; `None` when there is none.
        published_at: Option<Timestamp>,
    },
    /// The broker doesn't know these names; each with its hint.
    UnknownName(Vec<(String, String)>),
    /// The broker could not say.
    Failed(BrokerError),
    /// Not asked, because the broker was in trouble already.
    NotAsked,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) question: Question,
    pub(super) answer: Answer,
}

/// Judges a pair by any result in its matrix.
pub(super) fn judge(rows: &[MatrixRow], max_age: Duration, rule: &Rule<'_>) -> Answer {
    let Some(newest) = newest(rows, rule) else {
        let published_at = rows.iter().map(|row| row.published_at).max();
        return Answer::Unverified { published_at };
    };
    if newest.age <= max_age { Answer::Fresh(newest) } else { Answer::Stale(newest) }
}

/// The newest result that counts.
pub(super) fn newest(rows: &[MatrixRow], rule: &Rule<'_>) -> Option<Newest> {
    let results = rows.iter().filter_map(|row| Some((row, row.verification.as_ref()?)));
    let counting = results.filter(|(_, result)| result.success || !rule.success_only);
    let (row, result) = counting.max_by_key(|(_, result)| result.verified_at)?;
    // A broker whose clock is ahead verifies in the future, which is as recent as can be.
    let age = rule.quiet.age(result.verified_at, rule.now);
    Some(Newest {
        verified_at: result.verified_at,
        age: Duration::try_from(age).unwrap_or_default(),
        success: result.success,
        consumer_version: row.consumer_version.clone(),
        provider_version: row.provider_version.clone().unwrap_or_default(),
        url: result.url.clone(),
    })
}

impl Answer {
    /// Its name in JSON and tables.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Judged(owes, _) => owes.name(),
            Self::Fresh(_) => "fresh",
            Self::Stale(_) => "stale",
            Self::Unverified { .. } => "unverified",
            Self::UnknownName(_) => "unknown_name",
            Self::Failed(BrokerError::Credential { .. }) => "credential_refused",
            Self::Failed(BrokerError::RateLimited { .. }) => "rate_limited",
            Self::Failed(_) => "unreachable",
            Self::NotAsked => "not_checked",
        }
    }

    /// The exit code for this pair alone; `None` when it adds nothing to that of another.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Judged(owes, _) if !owes.is_fine() => Some(Exit::No),
            Self::Judged(..) | Self::Fresh(_) => Some(Exit::Fine),
            Self::Stale(_) | Self::Unverified { .. } => Some(Exit::No),
            Self::UnknownName(_) => Some(Exit::Usage),
            Self::Failed(error) => Some(failure(error).exit),
            Self::NotAsked => None,
        }
    }

    /// The newest result, if there is one.
    pub(super) fn newest(&self) -> Option<&Newest> {
        match self {
            Self::Judged(_, newest) => newest.as_ref(),
            Self::Fresh(newest) | Self::Stale(newest) => Some(newest),
            Self::Unverified { .. } | Self::UnknownName(_) | Self::Failed(_) | Self::NotAsked => {
                None
            }
        }
    }
}

/// Which of several exit codes a caller has to see: first what makes the answer worthless, last
/// what the answer is.
pub(super) fn severity(exit: Exit) -> u8 {
    match exit {
        Exit::Usage => 5,
        Exit::Credential => 4,
        Exit::Unreachable => 3,
        Exit::RateLimited | Exit::GaveUp => 2,
        Exit::No => 1,
        Exit::Fine => 0,
    }
}
