//! Messages on their way in, and their acknowledgements.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_domain::{DeliveryId, LaneId};
use postrider_queue::{MessageContext, Received, Settler, Tag};
use postrider_store::ClaimsAtIntake;
use postrider_telemetry::step::{Step, reached};
use tokio::sync::oneshot;

use super::steps::Contexts;
use crate::messages::{Messages, ReceiveOutcome};
use postrider_scheduler::ClaimKey;

/// What happened outside.
#[derive(Debug)]
pub(crate) enum OutsideEvent {
    /// Messages came.
    Received(Vec<Received>),
    /// Something was committed for these lanes.
    Woken(Vec<LaneId>),
    /// Intake of this process is about to commit these, and asks what it may claim of them.
    Offered { deliveries: Vec<(DeliveryId, LaneId)>, answer: oneshot::Sender<ClaimsAtIntake> },
    /// Outcomes are committed.
    Recorded { claims: Vec<ClaimKey>, closed: Vec<LaneId> },
}

/// The messages of a worker.
#[derive(Debug)]
pub(crate) struct Mail {
    settler: Option<Settler>,
    messages: Messages,
    /// What messages say of deliveries that are not answered yet.
    contexts: HashMap<DeliveryId, Arc<MessageContext>>,
}

/// What messages bring to the scheduler.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    pub(crate) deliveries: Vec<(DeliveryId, LaneId)>,
    pub(crate) wake: Vec<LaneId>,
}

impl Mail {
    pub(crate) fn new(settler: Option<Settler>) -> Self {
        Self { settler, messages: Messages::default(), contexts: HashMap::new() }
    }

    /// Takes messages.
    pub(crate) fn take(&mut self, received: Vec<Received>) -> Brought {
        let mut brought = Brought::default();
        let mut settled = Vec::new();
        for message in received {
            if self.messages.connected(message.tag.generation) {
                self.contexts.clear();
            }
            brought.wake.extend(message.wake);
            let ids = message.deliveries.iter().map(|(id, _)| *id);
            match self.messages.take(message.tag, ids) {
                ReceiveOutcome::Work(new) => {
                    let mut new = new.into_iter().peekable();
                    for (id, lane) in message.deliveries {
                        if new.next_if_eq(&id).is_none() {
                            continue;
                        }
                        if let Some(context) = &message.context {
                            self.contexts.insert(id, Arc::clone(context));
                        }
                        brought.deliveries.push((id, lane));
                    }
                }
                ReceiveOutcome::Settled => settled.push(message.tag),
                ReceiveOutcome::Stale => {}
            }
        }
        self.acknowledge(settled);
        brought
    }

    /// What messages say of these.
    pub(crate) fn contexts(&self, ids: &[DeliveryId]) -> Contexts {
        if self.contexts.is_empty() {
            return Contexts::new();
        }
        let known = ids.iter().filter_map(|id| Some((*id, Arc::clone(self.contexts.get(id)?))));
        known.collect()
    }

    /// A committed step answered these (`SETTLE_AT_CLAIM`).
    pub(crate) fn answered(&mut self, ids: &[DeliveryId]) {
        for id in ids {
            self.contexts.remove(id);
        }
        let settled = self.messages.answered(ids);
        self.acknowledge(settled);
        if self.settler.is_some() {
            reached(Step::Settled, ids.len());
        }
    }

    /// What is not acknowledged goes back, for other workers to take; nothing more is taken.
    pub(crate) fn pause(&mut self) {
        if let Some(settler) = &self.settler {
            tracing::warn!("messages.given_back");
            settler.pause();
        }
        self.messages.give_back();
        self.contexts.clear();
    }

    /// Messages are taken again.
    pub(crate) fn resume(&self) {
        if let Some(settler) = &self.settler {
            tracing::info!("messages.taken_again");
            settler.resume();
        }
    }

    fn acknowledge(&self, tags: Vec<Tag>) {
        if let Some(settler) = &self.settler {
            settler.ack(tags);
        }
    }
}
