//! Drives the scheduler: tells it what happened, carries out what it decides, wakes it in time.

mod attempts;
mod carry;
mod decides;
mod grant;
pub(crate) mod hands;
mod inbox;
mod lasting;
pub(crate) mod owed;
mod steps;
mod told;

use std::collections::HashMap;
use std::time::Duration;

use postrider_scheduler::{Event, Offer, Ticket};
use postrider_store::ClaimsAtIntake;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::attempt::Told;
pub(crate) use decides::{Decides, Todo};
use hands::Carrier;
use inbox::Mail;
pub(crate) use inbox::OutsideEvent;
pub(crate) use lasting::{Lasting, drive};
use owed::{Happened, Inbox};

/// Events taken before deciding what they ask for together.
const TOGETHER: usize = 256;
/// How long an idle driver sleeps at most.
const IDLE: Duration = Duration::from_mins(1);
/// After a stop, claims that were asked for before it and come late are given back for so long.
const LATE_CLAIMS: Duration = Duration::from_secs(2);

/// One scheduler with everything it decides over.
pub(crate) struct Driver<'a, D> {
    decides: D,
    carrier: Carrier,
    inbox: Inbox,
    mail: &'a mut Mail,
    turns: HashMap<Ticket, oneshot::Sender<Told>>,
    /// What intake offered and was not answered yet, and how often it did.
    offers: HashMap<Offer, oneshot::Sender<ClaimsAtIntake>>,
    offered: u64,
    todo: Vec<Todo>,
    is_over: bool,
    /// Tells what must not outlive it.
    _gone: DropGuard,
}

impl<'a, D: Decides> Driver<'a, D> {
    pub(crate) fn new(decides: D, carrier: Carrier, inbox: Inbox, mail: &'a mut Mail) -> Self {
        let gone = carrier.gone.clone().drop_guard();
        Self {
            decides,
            carrier,
            inbox,
            mail,
            turns: HashMap::new(),
            offers: HashMap::new(),
            offered: 0,
            todo: Vec::new(),
            is_over: false,
            _gone: gone,
        }
    }

    /// Works until cancelled and stopped.
    pub(crate) async fn run(
        mut self,
        outside: &mut mpsc::Receiver<OutsideEvent>,
        cancel: &CancellationToken,
    ) {
        let mut is_stopping = false;
        loop {
            self.decide();
            if self.is_over {
                return self.settle().await;
            }
            let wake = self.decides.next_wakeup();
            let wait = wake.map_or(IDLE, |at| self.carrier.hands.clock.until(at).min(IDLE));
            tokio::select! {
                Some(event) = self.inbox.recv() => self.hear(event),
                Some(event) = outside.recv() => self.hear_outside(event),
                () = cancel.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    self.hear(Event::Stop);
                }
                () = sleep(wait) => {}
            }
            for _ in 0..TOGETHER {
                match (self.inbox.take(), outside.try_recv()) {
                    (None, Err(_)) => break,
                    (inside, outside) => {
                        if let Some(event) = inside {
                            self.hear(event);
                        }
                        if let Ok(event) = outside {
                            self.hear_outside(event);
                        }
                    }
                }
            }
        }
    }

    fn hear_outside(&mut self, event: OutsideEvent) {
        let event = match event {
            OutsideEvent::Received(messages) => {
                let brought = self.mail.take(messages);
                Event::Received { deliveries: brought.deliveries, wake: brought.wake }
            }
            OutsideEvent::Woken(lanes) => Event::Woken(lanes),
            OutsideEvent::Offered { deliveries, answer } => {
                self.offered += 1;
                let offer = Offer(self.offered);
                self.offers.insert(offer, answer);
                Event::Offered { offer, deliveries }
            }
            OutsideEvent::Recorded { claims, closed } => Event::Recorded { claims, closed },
        };
        self.hear(event);
    }

    fn hear(&mut self, event: Happened) {
        if let Event::AttemptEnded { permit, .. } | Event::Probed { permit } = &event {
            self.turns.remove(&permit.ticket());
        }
        self.decides.on(self.carrier.hands.clock.now(), event, &mut self.todo);
    }

    /// Everything that is due by now.
    fn decide(&mut self) {
        loop {
            let now = self.carrier.hands.clock.now();
            if self.decides.next_wakeup().is_none_or(|at| at > now) {
                break;
            }
            self.decides.on(now, Event::Timeout, &mut self.todo);
        }
        for todo in std::mem::take(&mut self.todo) {
            self.carry_out(todo);
        }
    }

    /// The stop is over: what claims bring that come late goes back.
    async fn settle(mut self) {
        let end = Instant::now() + LATE_CLAIMS;
        let steps = self.carrier.steps.clone();
        steps.close();
        while !steps.is_empty()
            && let Ok(Some(event)) = timeout_at(end, async {
                tokio::select! {
                    event = self.inbox.recv() => event,
                    () = steps.wait() => None,
                }
            })
            .await
        {
            self.hear(event);
            self.decide();
        }
        while let Some(event) = self.inbox.take() {
            self.hear(event);
        }
        self.decide();
    }
}

#[cfg(test)]
mod tests;
