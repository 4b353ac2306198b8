//! Which command becomes what.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::steps::Ask;
use super::{Driver, Todo};
use crate::attempt::Told;
use postrider_scheduler::{Command, SendWhen, Ticket};

impl<D> Driver<'_, D> {
    pub(super) fn carry_out(&mut self, todo: Todo) {
        let carrier = &self.carrier;
        match todo {
            Command::Renew { leases } => carrier.renew(leases),
            Command::Acquire { limit } => carrier.acquire(limit),
            Command::GiveUp { leases } => carrier.give_up(&leases),
            Command::Poll(which) => carrier.poll(which),
            Command::ClaimFresh { batch, ids } => {
                let contexts = self.mail.contexts(&ids);
                carrier.claim_fresh(batch, ids, contexts);
            }
            Command::ClaimAtIntake { offer, batch, ids } => {
                let grant = carrier.claims_at_intake(batch, ids);
                if let Some(Err(unused)) = self.offers.remove(&offer).map(|to| to.send(grant)) {
                    unused.not_used();
                }
            }
            Command::Decline { offer } => drop(self.offers.remove(&offer)),
            Command::ClaimDue { batch, lanes, suspect } => {
                carrier.claim_due(batch, &lanes, suspect);
            }
            Command::ClaimLimited { batch, lease, count, interval, suspect } => {
                carrier.claim_limited(batch, Ask { lease, count, interval, suspect });
            }
            Command::Unclaim { batch, scope, live } => carrier.unclaim(batch, scope, live),
            Command::MakeDue { batch, ids } => carrier.make_due(batch, ids),
            Command::Ack { ids } => self.mail.answered(&ids),
            Command::Start { claim, permit, send: SendWhen::Ready } => {
                carrier.start(claim, permit, None);
            }
            Command::Start { claim, permit, send: SendWhen::Told } => {
                let told = turn(&mut self.turns, permit.ticket());
                carrier.start(claim, permit, Some(told));
            }
            Command::Send(ticket) => self.tell(ticket, Told::Send),
            Command::Withdraw(ticket) => self.tell(ticket, Told::Withdraw),
            Command::Release { claim, due_in } => carrier.hands.release(&claim, due_in),
            Command::Probe { lane, lease, interval, permit } => {
                let told = turn(&mut self.turns, permit.ticket());
                carrier.probe(lane, lease, interval, permit, told);
            }
            Command::PauseConsumer => self.mail.pause(),
            Command::ResumeConsumer => self.mail.resume(),
            Command::Stopped => self.is_over = true,
        }
    }

    /// What has ended needs not be told.
    fn tell(&mut self, ticket: Ticket, told: Told) {
        if let Some(turn) = self.turns.remove(&ticket)
            && turn.send(told).is_err()
        {
            tracing::trace!(?ticket, "attempt.ended_already");
        }
    }
}

fn turn(
    turns: &mut HashMap<Ticket, oneshot::Sender<Told>>,
    ticket: Ticket,
) -> oneshot::Receiver<Told> {
    let (tell, told) = oneshot::channel();
    turns.insert(ticket, tell);
    told
}
