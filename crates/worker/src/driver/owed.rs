//! Events that are owed to the scheduler, and what becomes of them when it is gone.

use std::sync::Arc;

use postrider_store::Recorded;
use tokio::sync::mpsc;

use crate::attempt::HeldClaim;
use postrider_scheduler::{Ended, Event, Permit};

/// What happened, for the scheduler.
pub(crate) type Happened = Event<Arc<HeldClaim>>;

/// Where events go. They are bounded by what the scheduler has under way, as each answers a
/// command.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    to: mpsc::UnboundedSender<Happened>,
    recorder: mpsc::Sender<Recorded>,
}

/// Where they come out. What nobody takes any more is not lost: permits end, and claims that
/// were not used are given back.
#[derive(Debug)]
pub(crate) struct Inbox {
    from: mpsc::UnboundedReceiver<Happened>,
    recorder: mpsc::Sender<Recorded>,
}

/// A way for events, with what records those that come too late.
pub(crate) fn channel(recorder: &mpsc::Sender<Recorded>) -> (Events, Inbox) {
    let (to, from) = mpsc::unbounded_channel();
    (Events { to, recorder: recorder.clone() }, Inbox { from, recorder: recorder.clone() })
}

impl Events {
    /// Tells the scheduler.
    pub(crate) fn tell(&self, event: Happened) {
        if let Err(mpsc::error::SendError(event)) = self.to.send(event) {
            let_go(event, &self.recorder);
        }
    }
}

impl Inbox {
    /// The next event; `None` once nobody can tell any more.
    pub(crate) async fn recv(&mut self) -> Option<Happened> {
        self.from.recv().await
    }

    /// The next event that is there already.
    pub(crate) fn take(&mut self) -> Option<Happened> {
        self.from.try_recv().ok()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.from.close();
        while let Some(event) = self.take() {
            let_go(event, &self.recorder);
        }
    }
}

/// An event whose scheduler is gone. Claims that were got and not started are UNCLAIM's.
fn let_go(event: Happened, recorder: &mpsc::Sender<Recorded>) {
    match event {
        Event::AttemptEnded { permit, ended } => {
            permit.forfeit();
            if let Ended::Unsent { claim, .. } = ended
                && let Err(error) = recorder.try_send(claim.released())
            {
                tracing::warn!(%error, delivery_id = %claim.claim.id, "claim.not_released");
            }
        }
        Event::Probed { permit } => permit.forfeit(),
        Event::Received { .. }
        | Event::Woken(_)
        | Event::Offered { .. }
        | Event::Claimed { .. }
        | Event::LimitRefused { .. }
        | Event::ClaimFailed { .. }
        | Event::Unclaimed { .. }
        | Event::UnclaimFailed { .. }
        | Event::MadeDue { .. }
        | Event::MakeDueFailed { .. }
        | Event::Prepared { .. }
        | Event::Recorded { .. }
        | Event::Polled { .. }
        | Event::PollFailed
        | Event::Renewed { .. }
        | Event::RenewFailed
        | Event::Acquired { .. }
        | Event::AcquireFailed { .. }
        | Event::Stop
        | Event::Timeout => {}
    }
}

/// An answer that is owed: what is dropped without one, by a panic or a cancellation, is
/// answered by the event that says so.
#[derive(Debug)]
pub(crate) struct Owed {
    events: Events,
    otherwise: Option<Happened>,
}

impl Owed {
    pub(crate) fn new(events: &Events, otherwise: Happened) -> Self {
        Self { events: events.clone(), otherwise: Some(otherwise) }
    }

    /// Answers.
    pub(crate) fn answer(mut self, event: Happened) {
        self.otherwise = None;
        self.events.tell(event);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(event) = self.otherwise.take() {
            self.events.tell(event);
        }
    }
}

/// A permit that is owed back.
#[derive(Debug)]
pub(crate) struct OwedPermit {
    events: Events,
    permit: Option<Permit>,
    is_probe: bool,
}

impl OwedPermit {
    pub(crate) fn of_attempt(events: &Events, permit: Permit) -> Self {
        Self { events: events.clone(), permit: Some(permit), is_probe: false }
    }

    pub(crate) fn of_probe(events: &Events, permit: Permit) -> Self {
        Self { events: events.clone(), permit: Some(permit), is_probe: true }
    }

    /// The attempt ended like this.
    pub(crate) fn end(mut self, ended: Ended<Arc<HeldClaim>>) {
        if let Some(permit) = self.permit.take() {
            self.events.tell(Event::AttemptEnded { permit, ended });
        }
    }
}

impl Drop for OwedPermit {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.events.tell(if self.is_probe {
                Event::Probed { permit }
            } else {
                Event::AttemptEnded { permit, ended: Ended::Panicked }
            });
        }
    }
}
