//! Long tasks that must not end by themselves.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// So many panics of one task within [`WITHIN`] end the process.
const MOST: usize = 3;
const WITHIN: Duration = Duration::from_mins(1);
/// The wait before a task starts again; five times as long after each further panic.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Starts long tasks again that panicked. One that does so for the third time within a minute
/// gives up: its process should end then, for what it was there for is not done any more.
/// Clones share what gave up.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    gave_up: Arc<OnceLock<&'static str>>,
    told: CancellationToken,
}

impl Supervisor {
    /// Spawns a task under a name for logs. `make` makes it anew after each panic; it ends when
    /// it returns.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        tracker: &TaskTracker,
        name: &'static str,
        mut make: impl FnMut() -> F + Send + 'static,
    ) -> JoinHandle<()> {
        let supervisor = self.clone();
        tracker.spawn(async move {
            let mut panics = Panics::default();
            // What a task shares with the next one of its kind is made for that.
            while AssertUnwindSafe(async { make().await }).catch_unwind().await.is_err() {
                match panics.another(Instant::now()) {
                    Next::Again(wait) => {
                        tracing::error!(task = name, ?wait, "task.panicked");
                        tokio::time::sleep(wait).await;
                    }
                    Next::GiveUp => {
                        tracing::error!(task = name, "task.gave_up");
                        supervisor.gave_up.get_or_init(|| name);
                        supervisor.told.cancel();
                        return;
                    }
                }
            }
        })
    }

    /// Waits for a task to give up; its name.
    pub async fn gave_up(&self) -> &'static str {
        self.told.cancelled().await;
        self.gave_up.get().copied().unwrap_or_default()
    }
}

/// What follows on a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Again(Duration),
    GiveUp,
}

/// When a task panicked lately.
#[derive(Debug, Default)]
struct Panics(VecDeque<Instant>);

impl Panics {
    fn another(&mut self, now: Instant) -> Next {
        self.0.retain(|at| now.saturating_duration_since(*at) < WITHIN);
        self.0.push_back(now);
        match u32::try_from(self.0.len()) {
            Ok(count) if self.0.len() < MOST => Next::Again(FIRST_WAIT * 5_u32.pow(count - 1)),
            _ => Next::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn three_panics_in_a_minute_are_too_many() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut panics = Panics::default();
        assert_eq!(panics.another(at(0)), Next::Again(FIRST_WAIT));
        assert_eq!(panics.another(at(30)), Next::Again(FIRST_WAIT * 5));
        assert_eq!(panics.another(at(61)), Next::Again(FIRST_WAIT * 5), "the first is forgotten");
        assert_eq!(panics.another(at(80)), Next::GiveUp);
    }

    #[tokio::test]
    async fn a_task_that_panics_starts_again_and_gives_up_in_the_end() {
        let (supervisor, tracker) = (Supervisor::default(), TaskTracker::new());
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let once = supervisor.spawn(&tracker, "mends", move || {
            let counted = Arc::clone(&counted);
            async move {
                assert!(counted.fetch_add(1, Ordering::SeqCst) > 0, "the first run panics");
            }
        });
        once.await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert!(supervisor.gave_up().now_or_never().is_none());
        supervisor.spawn(&tracker, "never mends", || async { panic!("again") }).await.unwrap();
        assert_eq!(supervisor.gave_up().await, "never mends");
    }
}
