//! What outlives a scheduler, and what its successor finds after a panic.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::hands::{Carrier, Hands};
use super::inbox::Mail;
use super::owed::channel;
use super::{Decides, Driver, OutsideEvent};
use crate::clock::BoottimeInstant;
use postrider_scheduler::{Scope, Settings};

/// How long the steps of a scheduler that is gone are waited for: more than their deadline.
const STEPS_WITHIN: Duration = Duration::from_secs(10);
/// First and longest pause before giving back is tried again.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Lanes in one statement that gives claims back.
const LANES_MAX: usize = 1_000;

/// What outlives a scheduler.
pub(crate) struct Lasting {
    hands: Hands,
    settings: Settings,
    outside: mpsc::Receiver<OutsideEvent>,
    mail: Mail,
    /// Of the scheduler that runs or ran last.
    steps: TaskTracker,
    generation: u64,
}

impl Lasting {
    pub(crate) fn new(
        hands: Hands,
        settings: Settings,
        outside: mpsc::Receiver<OutsideEvent>,
    ) -> Self {
        let mail = Mail::new(hands.settler.clone());
        Self { hands, settings, outside, mail, steps: TaskTracker::new(), generation: 0 }
    }

    /// UNCLAIM of everything that the scheduler before held and no attempt has: it knows of none
    /// of it any more. Its messages come again.
    async fn clear_up(&mut self) {
        self.mail.pause();
        self.steps.close();
        if timeout(STEPS_WITHIN, self.steps.wait()).await.is_err() {
            tracing::warn!(steps = self.steps.len(), "scheduler.steps_left");
        }
        let legacy = self.hands.live.legacy();
        for scope in legacy.scopes {
            match scope {
                Scope::Due(lanes) => {
                    for lanes in lanes.chunks(LANES_MAX) {
                        self.give_back(&Scope::Due(lanes.to_vec())).await;
                    }
                }
                scope @ (Scope::Fresh(_) | Scope::Limited(_)) => self.give_back(&scope).await,
            }
        }
        // Claims under them may be sent still: OLD_CLAIMS keeps the next leader waiting.
        if !legacy.leases.is_empty()
            && let Err(error) = self.hands.store.give_up(&legacy.leases).await
        {
            tracing::warn!(%error, "leases.not_given_up");
        }
        self.mail.resume();
    }

    /// Tries until it is done, or the claims are over by themselves.
    async fn give_back(&self, scope: &Scope) {
        let (since, mut pause) = (BoottimeInstant::now(), PAUSE);
        while since.elapsed() < self.hands.context.config.claim_length() {
            match self.hands.unclaim(scope, &self.hands.live.in_hand()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "claim.not_given_back"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Drives a scheduler to its end; the next one after a panic.
pub(crate) async fn drive<D: Decides>(
    lasting: Arc<Mutex<Lasting>>,
    make: impl Fn(Settings) -> D,
    cancel: CancellationToken,
) {
    let mut guard = lasting.lock().await;
    let lasting = &mut *guard;
    lasting.generation += 1;
    if lasting.generation > 1 {
        cancel.run_until_cancelled(Box::pin(lasting.clear_up())).await;
    }
    lasting.steps = TaskTracker::new();
    let (events, inbox) = channel(&lasting.hands.recorder);
    let carrier = Carrier {
        hands: lasting.hands.clone(),
        events,
        steps: lasting.steps.clone(),
        gone: CancellationToken::new(),
    };
    let settings = Settings { generation: lasting.generation, ..lasting.settings };
    let driver = Driver::new(make(settings), carrier, inbox, &mut lasting.mail);
    driver.run(&mut lasting.outside, &cancel).await;
}
