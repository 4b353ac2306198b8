//! Whether it is the own resolver that fails, or somebody's name.

use std::time::Duration;

use tokio::time::Instant;

/// Failures and successes count this long.
const WINDOW: Duration = Duration::from_secs(10);

/// What came of the latest lookups. One name that can't be resolved says nothing: its own servers
/// may be down. Two names that can't while none can say that it is not about names.
#[derive(Debug, Default)]
pub struct ResolverHealth {
    /// The two names that failed last, the newer one last.
    failed: Vec<(String, Instant)>,
    resolved_at: Option<Instant>,
}

impl ResolverHealth {
    /// A lookup ended without an answer.
    pub fn failed(&mut self, name: &str, now: Instant) {
        self.failed.retain(|(known, _)| known != name);
        self.failed.push((name.to_owned(), now));
        if self.failed.len() > 2 {
            self.failed.remove(0);
        }
    }

    /// A lookup was answered, be it with "there is no such name".
    pub fn answered(&mut self, now: Instant) {
        self.resolved_at = Some(now);
    }

    /// Whether at least two different names failed within the last 10 s and none was answered.
    pub fn is_down(&self, now: Instant) -> bool {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < WINDOW;
        self.failed.len() == 2
            && self.failed.iter().all(|(_, at)| is_recent(*at))
            && !self.resolved_at.is_some_and(is_recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happened, at which second.
    enum Lookup {
        Failed(&'static str),
        Answered,
    }
    use Lookup::{Answered, Failed};

    /// What happened when; looked at when; whether it is down.
    type Row = (&'static str, &'static [(u64, Lookup)], u64, bool);

    #[test]
    fn two_names_that_fail_while_none_is_answered() {
        let table: &[Row] = &[
            ("nothing yet", &[], 0, false),
            ("one name", &[(0, Failed("a"))], 1, false),
            ("one name, time and again", &[(0, Failed("a")), (1, Failed("a"))], 2, false),
            ("two names", &[(0, Failed("a")), (1, Failed("b"))], 2, true),
            (
                "two names of three",
                &[(0, Failed("a")), (1, Failed("b")), (2, Failed("c"))],
                3,
                true,
            ),
            ("both must be recent", &[(0, Failed("a")), (9, Failed("b"))], 10, false),
            (
                "a newer failure of the same name counts",
                &[(0, Failed("a")), (9, Failed("b")), (11, Failed("a"))],
                12,
                true,
            ),
            (
                "an answer in between",
                &[(0, Failed("a")), (1, Answered), (2, Failed("b"))],
                3,
                false,
            ),
            ("an answer after", &[(0, Failed("a")), (1, Failed("b")), (2, Answered)], 3, false),
            ("an answer long ago", &[(0, Answered), (8, Failed("a")), (9, Failed("b"))], 10, true),
        ];
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        for (what, lookups, now, expected) in table {
            let mut health = ResolverHealth::default();
            for (second, lookup) in *lookups {
                match lookup {
                    Failed(name) => health.failed(name, at(*second)),
                    Answered => health.answered(at(*second)),
                }
            }
            assert_eq!(health.is_down(at(*now)), *expected, "{what}");
        }
    }
}
