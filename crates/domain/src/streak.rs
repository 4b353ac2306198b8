//! Streaks of webhooks: failures since the last success, kept as outcomes are recorded.

use crate::{LastOutcome, Outcome};

/// What a batch of outcomes says of one webhook, in the order of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreakNews {
    /// Something was accepted: failures from before the batch don't count any more.
    pub succeeded: bool,
    /// Failures after the batch's last success.
    pub failures: u32,
    /// Deliveries among them that had never failed before.
    pub deliveries: u32,
    /// What the newest that counts came to; `None`: nothing did.
    pub last: Option<LastOutcome>,
}

impl StreakNews {
    /// One attempt more; `is_first` when none of its delivery has used a place of the schedule
    /// before. A limit is no failure, and a lost claim says nothing of the target.
    pub fn add(&mut self, attempt: LastOutcome, is_first: bool) {
        match attempt.outcome {
            Outcome::Accepted => {
                self.succeeded = true;
                self.failures = 0;
                self.deliveries = 0;
            }
            Outcome::RateLimited | Outcome::Lost => return,
            Outcome::Credential
            | Outcome::SecretMissing
            | Outcome::SecretUnusable
            | Outcome::ServerError
            | Outcome::Timeout
            | Outcome::ConnectError
            | Outcome::Unreadable
            | Outcome::NotFound
            | Outcome::Permission
            | Outcome::Invalid
            | Outcome::Redirected
            | Outcome::Blocked
            | Outcome::RenderError
            | Outcome::Poison
            | Outcome::WebhookDeleted
            | Outcome::WebhookDisabled
            | Outcome::Withdrawn => {
                self.failures = self.failures.saturating_add(1);
                self.deliveries = self.deliveries.saturating_add(u32::from(is_first));
            }
        }
        self.last = Some(attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outcomes: &[Outcome]) -> StreakNews {
        let mut news = StreakNews::default();
        for outcome in outcomes {
            news.add(LastOutcome { outcome: *outcome, status_code: None }, true);
        }
        news
    }

    #[test]
    fn failures_count_since_the_last_success() {
        use Outcome::{Accepted, Invalid, Lost, RateLimited, Timeout};
        for (outcomes, succeeded, failures, last) in [
            (&[][..], false, 0, None),
            (&[Accepted], true, 0, Some(Accepted)),
            (&[Invalid, Timeout], false, 2, Some(Timeout)),
            (&[Invalid, Accepted, Timeout], true, 1, Some(Timeout)),
            (&[Invalid, Accepted], true, 0, Some(Accepted)),
            (&[RateLimited, Lost], false, 0, None),
            (&[Invalid, RateLimited, Lost], false, 1, Some(Invalid)),
        ] {
            let news = of(outcomes);
            let shown = news.last.map(|last| last.outcome);
            assert_eq!((news.succeeded, news.failures, shown), (succeeded, failures, last));
        }
    }

    /// A batch says the same as its parts one after the other.
    #[test]
    fn batches_can_be_cut_anywhere() {
        let all: Vec<Outcome> = Outcome::ALL.into_iter().chain(Outcome::ALL).collect();
        let whole = of(&all);
        for cut in 0..=all.len() {
            let (first, second) = (of(&all[..cut]), of(&all[cut..]));
            let kept = if second.succeeded { 0 } else { first.failures };
            assert_eq!(whole.failures, kept + second.failures, "cut at {cut}");
            assert_eq!(whole.deliveries, whole.failures, "each was its delivery's first");
            assert_eq!(whole.succeeded, first.succeeded || second.succeeded);
            assert_eq!(whole.last, second.last.or(first.last));
        }
    }

    #[test]
    fn a_delivery_that_fails_again_and_again_counts_once() {
        let mut news = StreakNews::default();
        let failed = LastOutcome { outcome: Outcome::Timeout, status_code: None };
        for is_first in [true, false, false] {
            news.add(failed, is_first);
        }
        assert_eq!((news.failures, news.deliveries), (3, 1));
        news.add(LastOutcome { outcome: Outcome::Accepted, status_code: Some(204) }, true);
        assert_eq!((news.failures, news.deliveries), (0, 0));
    }
}
