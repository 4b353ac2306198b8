//! The store's words in the scheduler's.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{HoldCause, LaneLimits, LaneState};
use postrider_store::{LaneStatus, Lease, LimitStatus, StoreError, Trouble};

use crate::trouble::Lasting;
use postrider_scheduler::{self as scheduler, CommitResult, Hold, Pace, Pacing, Terms};

/// The shortest interval that counts as one.
const SHORTEST: Duration = Duration::from_nanos(1);

pub(crate) fn lease(lease: &Lease) -> scheduler::Lease {
    scheduler::Lease { limit: lease.limit, epoch: lease.epoch }
}

pub(crate) fn trouble(lasting: Lasting) -> Trouble {
    Trouble { what: lasting.trouble.as_str(), lasts: lasting.lasts }
}

pub(crate) fn share(share: &scheduler::LaneShare) -> postrider_store::LaneShare {
    postrider_store::LaneShare { lane: share.lane, limit: share.limit }
}

pub(crate) fn commit(error: &StoreError) -> CommitResult {
    match error {
        StoreError::Unknown(_) => CommitResult::Unknown,
        StoreError::Unavailable(_)
        | StoreError::Slow(_)
        | StoreError::Corrupt(_)
        | StoreError::NewerSchema { .. }
        | StoreError::WrongKey { .. }
        | StoreError::Unusable(_) => CommitResult::Nothing,
    }
}

pub(crate) fn lane(status: &LaneStatus) -> scheduler::LaneStatus {
    scheduler::LaneStatus {
        lane: status.id,
        host: host(&status.name),
        hold: hold(status),
        due: status.due,
        open: status.open,
        probe_in: status.probe_in,
        limit: limit(&status.limit),
    }
}

/// A lane is named `<host[:port]>/<credential>`.
fn host(name: &str) -> Arc<str> {
    name.split_once('/').map_or(name, |(host, _)| host).into()
}

/// A hold by hand is nobody's but the operator's to end.
fn hold(status: &LaneStatus) -> Hold {
    match status.state {
        LaneState::Open if status.probe_due => Hold::OpenProbeDue,
        LaneState::Open => Hold::Open,
        LaneState::Held(
            HoldCause::Credential | HoldCause::SecretMissing | HoldCause::SecretUnusable,
        ) if status.probe_due => Hold::ProbeDue,
        LaneState::Held(
            HoldCause::Credential
            | HoldCause::SecretMissing
            | HoldCause::SecretUnusable
            | HoldCause::Manual,
        ) => Hold::Held,
    }
}

fn limit(status: &LimitStatus) -> scheduler::LimitStatus {
    scheduler::LimitStatus {
        id: status.id,
        terms: terms(&status.limits),
        leased: status.leased,
        paused_for: status.paused_for,
        clean: status.clean,
        next_send_in: status.next_send_in.unwrap_or_default(),
    }
}

fn terms(limits: &LaneLimits) -> Terms {
    let pace = limits
        .interval()
        .map(|interval| Pace { interval: interval.max(SHORTEST), burst: limits.usable_burst() });
    let pacing = if limits.is_limited() { Pacing::Limited { pace } } else { Pacing::Unlimited };
    Terms { concurrency: limits.concurrency.max(1), pacing }
}

#[cfg(test)]
mod tests {
    use postrider_domain::{LaneId, LimitId};

    use super::*;

    fn status(state: LaneState, probe_due: bool, limits: LaneLimits) -> LaneStatus {
        LaneStatus {
            id: LaneId(3),
            name: "ci.example.com:8443/deploy/token".to_owned(),
            state,
            hold_gen: 1,
            secret_rev: 1,
            due: true,
            open: true,
            probe_due,
            probe_in: None,
            limit: LimitStatus {
                id: LimitId(7),
                limits,
                paused_for: None,
                leased: true,
                clean: Some(4),
                next_send_in: None,
            },
        }
    }

    #[test]
    fn a_lane_is_told_by_its_host_its_hold_and_its_terms() {
        let told = lane(&status(LaneState::Open, false, LaneLimits::OTHER));
        assert_eq!((&*told.host, told.hold), ("ci.example.com:8443", Hold::Open));
        assert_eq!(told.limit.terms, Terms { concurrency: 64, pacing: Pacing::Unlimited });
        assert_eq!((told.limit.clean, told.limit.next_send_in), (Some(4), Duration::ZERO));
        let github = lane(&status(LaneState::Open, false, LaneLimits::GITHUB)).limit.terms;
        let interval = LaneLimits::GITHUB.interval().unwrap();
        let pace = Some(Pace { interval, burst: 1 });
        assert_eq!(github, Terms { concurrency: 1, pacing: Pacing::Limited { pace } });
        let hourly = LaneLimits { per_hour: Some(9), ..LaneLimits::OTHER };
        let hourly = lane(&status(LaneState::Open, false, hourly)).limit.terms;
        assert_eq!(hourly.pacing, Pacing::Limited { pace: None });
    }

    #[test]
    fn a_probe_is_due_unless_the_hold_is_an_operators() {
        for (cause, probe_due, expected) in [
            (HoldCause::Credential, true, Hold::ProbeDue),
            (HoldCause::SecretMissing, true, Hold::ProbeDue),
            (HoldCause::Credential, false, Hold::Held),
            (HoldCause::Manual, true, Hold::Held),
        ] {
            let status = status(LaneState::Held(cause), probe_due, LaneLimits::OTHER);
            assert_eq!(lane(&status).hold, expected, "{cause:?}, {probe_due}");
        }
    }

    #[test]
    fn only_what_is_not_known_is_given_back() {
        assert_eq!(commit(&StoreError::Unknown(String::new())), CommitResult::Unknown);
        assert_eq!(commit(&StoreError::Unavailable(String::new())), CommitResult::Nothing);
        assert_eq!(commit(&StoreError::Slow(String::new())), CommitResult::Nothing);
    }
}
