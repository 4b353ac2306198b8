//! Tests of webhooks: started in the store, sent by a worker, watched from here.
//!
//! This process never sends by itself (rule `EXEC_LANE`): a test goes the way of every delivery, so
//! that rendering, limits, address policy and secrets are the same. Whoever asked waits for the
//! outcome, for a bounded time; a test that nobody waits for any more is withdrawn (E4).

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{
    DeliveryId, Extensions, HoldCause, LaneState, Outcome, StoredStatus, print_duration,
};
use postrider_http_server::Problem;
use postrider_queue::Fresh;
use postrider_store::{DeliveryView, LaneStop, NewExecution, Started, Store, StoreError};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::WebConfig;
use crate::announce::{Announce, Announcement};

/// Tests under way at once in this process.
const AT_ONCE: usize = 64;

/// The first look at a test, and how the pauses between looks grow.
const FIRST_LOOK: Duration = Duration::from_millis(15);
const LAST_LOOK: Duration = Duration::from_millis(250);

/// How much longer than a request its outcome may take: claim, pace, record.
const OUTCOME_GRACE: Duration = Duration::from_secs(5);

/// What became of a test.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It was made; the delivery has its one attempt.
    Made { delivery: Box<DeliveryView>, lane: LaneStop },
    /// Nothing was sent, for this reason.
    NotSent(String),
    /// It may have been sent: the worker that took it was not heard of again.
    NoWord,
    /// Its webhook is gone.
    Gone,
}

/// How long a test is waited for.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Until it is claimed.
    wait: Duration,
    /// From then on until its outcome is recorded.
    outcome: Duration,
}

/// The way to test webhooks.
pub(crate) struct TestDeliveries {
    announce: Announce,
    tracker: TaskTracker,
    stopping: CancellationToken,
    places: Arc<Semaphore>,
    patience: Patience,
}

impl TestDeliveries {
    pub(crate) fn new(
        config: &WebConfig,
        announce: Announce,
        tracker: TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        let outcome = config.webhook_timeout + OUTCOME_GRACE;
        let patience = Patience { wait: config.execute_wait, outcome };
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { announce, tracker, stopping, places, patience }
    }

    /// The longest that a test takes to be answered.
    pub(crate) fn longest(&self) -> Duration {
        let own = Extensions::LONGEST_TIMEOUT + OUTCOME_GRACE;
        self.patience.wait + self.patience.outcome.max(own)
    }

    /// How long a test may wait to be claimed.
    pub(crate) fn wait(&self) -> Duration {
        self.patience.wait
    }

    /// Starts a test and waits for its end. When the caller is dropped, the test is withdrawn.
    /// `store` is changed by whoever asks; `timeout` is the webhook's own.
    pub(crate) async fn run(
        &self,
        store: Store,
        new: NewExecution,
        timeout: Option<Duration>,
    ) -> Result<Ending, Problem> {
        let own = timeout.map(|timeout| timeout + OUTCOME_GRACE);
        let outcome = own.unwrap_or(self.patience.outcome);
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Problem::away("too many webhooks are being tested at once: try again"))?;
        let hung_up = CancellationToken::new();
        let _hangs_up_when_dropped = hung_up.clone().drop_guard();
        let watch = Watch {
            id: new.id,
            store,
            announce: Arc::clone(&self.announce),
            patience: Patience { outcome, ..self.patience },
            stopping: self.stopping.clone(),
            hung_up,
        };
        let (answer, ending) = oneshot::channel();
        self.tracker.spawn(async move {
            let ending = watch.run(&new).await;
            drop(place);
            // A caller that hung up needs no answer.
            drop(answer.send(ending));
        });
        let ending = ending.await.map_err(|_| Problem::internal())?;
        Ok(ending?)
    }
}

/// One test under way.
struct Watch {
    id: DeliveryId,
    store: Store,
    announce: Announce,
    patience: Patience,
    stopping: CancellationToken,
    hung_up: CancellationToken,
}

impl Watch {
    async fn run(&self, new: &NewExecution) -> Result<Ending, StoreError> {
        let lane_id = match self.store.start_execution(new).await? {
            Started::Waiting(lane) => lane,
            Started::Held(lane) => return Ok(Ending::NotSent(self.why(&lane))),
            Started::Gone => return Ok(Ending::Gone),
        };
        let call = new.traceparent.as_deref().and_then(|text| text.parse().ok());
        let fresh = Fresh { id: self.id, lane: lane_id, call };
        (self.announce)(Announcement::Delivery(fresh));
        self.watch().await
    }

    async fn watch(&self) -> Result<Ending, StoreError> {
        let begun = Instant::now();
        let mut pause = FIRST_LOOK;
        let mut given_up = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.hung_up.cancelled(), if !given_up => given_up = true,
                () = self.stopping.cancelled(), if !given_up => given_up = true,
            }
            pause = (pause * 3 / 2).min(LAST_LOOK);
            let waited = begun.elapsed();
            let seen = match self.store.execution(self.id).await {
                Ok(Some(seen)) => seen,
                Ok(None) => return Ok(Ending::Gone),
                Err(error) if waited > self.patience.wait + self.patience.outcome => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, delivery_id = %self.id, "execution.not_seen");
                    continue;
                }
            };
            let is_held = seen.lane.state != LaneState::Open;
            match next(seen.status, is_held || given_up, waited, self.patience) {
                Next::Look => {}
                Next::Withdraw => {
                    if self.store.withdraw_execution(self.id).await? {
                        return Ok(Ending::NotSent(self.why(&seen.lane)));
                    }
                }
                Next::Ended => return self.ended(seen.lane).await,
                Next::NoWord => return Ok(Ending::NoWord),
            }
        }
    }

    async fn ended(&self, lane: LaneStop) -> Result<Ending, StoreError> {
        let Some(delivery) = self.store.delivery(self.id).await? else {
            return Ok(Ending::Gone);
        };
        Ok(match delivery.row.last_outcome {
            Some(Outcome::Withdrawn) | None => Ending::NotSent(self.why(&lane)),
            Some(Outcome::Lost) => Ending::NoWord,
            Some(_) => Ending::Made { delivery: Box::new(delivery), lane },
        })
    }

    fn why(&self, lane: &LaneStop) -> String {
        if self.stopping.is_cancelled() {
            return "nothing was sent: postrider is shutting down".to_owned();
        }
        let waited = print_duration(self.patience.wait);
        let why = obstacle(lane).unwrap_or_else(|| {
            let name = &lane.lane;
            format!("no worker had room for it in lane {name} within {waited}: is one running?")
        });
        format!("nothing was sent: {why}")
    }
}

/// What a lane itself says against sending now.
pub(crate) fn obstacle(lane: &LaneStop) -> Option<String> {
    let name = &lane.lane;
    let since = lane.held_since.map(|at| format!(" since {at:.0}")).unwrap_or_default();
    match (lane.state, lane.paused_until) {
        (LaneState::Held(HoldCause::Credential), _) => Some(format!(
            "lane {name} is held{since}: its target refused the credential; give its secret a new \
             value"
        )),
        (LaneState::Held(HoldCause::SecretMissing), _) => Some(format!(
            "lane {name} is held{since}: a secret that it uses has no value; set it with \
             `postrider secrets set`"
        )),
        (LaneState::Held(HoldCause::SecretUnusable), _) => Some(format!(
            "lane {name} is held{since}: the value of a secret that it uses can't be sent; give it \
             another with `postrider secrets set`"
        )),
        (LaneState::Held(HoldCause::Manual), _) => Some(format!(
            "lane {name} is held{since} by an operator: `postrider lanes release {name}` opens it"
        )),
        (LaneState::Open, Some(until)) => Some(format!(
            "lane {name} is paused until {until:.0}, as its target asked to be left alone"
        )),
        (LaneState::Open, None) if lane.leaderless => {
            Some(format!("no worker leads lane {name}: is one running?"))
        }
        (LaneState::Open, None) => None,
    }
}

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Look,
    Withdraw,
    Ended,
    NoWord,
}

/// `in_vain`: nobody waits any more, or the lane is held.
fn next(status: StoredStatus, in_vain: bool, waited: Duration, patience: Patience) -> Next {
    match status {
        StoredStatus::Delivered | StoredStatus::Failed | StoredStatus::Discarded => Next::Ended,
        StoredStatus::Waiting if in_vain || waited >= patience.wait => Next::Withdraw,
        StoredStatus::Sending if waited >= patience.wait + patience.outcome => Next::NoWord,
        StoredStatus::Waiting | StoredStatus::Sending => Next::Look,
    }
}

#[cfg(test)]
mod tests;
