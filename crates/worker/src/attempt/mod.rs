//! One attempt, and the order of its effects.
//!
//! | step | effect | a crash right after it |
//! |---|---|---|
//! | taken | a message is off the queue, unacknowledged | the queue gives it out again |
//! | claimed | waiting becomes sending under a new claim number | the claim expires; the next attempt is marked as a possible duplicate although nothing was sent; the message comes again and claims nothing |
//! | settled | the message is acknowledged, for a committed step answered each of its deliveries | the claim expires, as above, without the message |
//! | sent | the target answered | the claim expires; the next attempt is a duplicate and marked as one |
//! | recorded | outcome, next state and attempt are committed | nothing is left to do |
//!
//! Nobody sends without a claim, and the claim, not the lane's lease, is the permission to send
//! (rule `NO_LEASE_TO`): right before the request leaves, the time since *before* the claim was
//! asked for plus a whole time-out must fit into the claim (SEND_CHECK, DEADLINE_T0).

mod context;
mod hand;
mod held;
mod judge;
mod leave;
mod made;
mod prepare;
mod send;

use std::time::Duration;

use postrider_domain::Outcome;
use postrider_http_client::{Reply, Trouble};
use postrider_store::Claim;
use postrider_telemetry::step::{Step, reached};

pub(crate) use context::Context;
pub(crate) use hand::InHand;
pub(crate) use held::HeldClaim;
pub(crate) use judge::Finished;
use judge::{conclude, unreadable};
pub(crate) use leave::{Leave, Told, Turn};
pub(crate) use prepare::Sendable;
use prepare::{NotReady, Ready, prepare};
use send::Started;
pub(crate) use send::send;

use crate::traced::Traced;
use postrider_scheduler::Unsent;

/// How far an attempt came.
#[derive(Debug)]
pub(crate) enum Came {
    /// The target answered, this long after the request began.
    Answered(Duration, Finished),
    /// A request was tried for a while and no answer came.
    Silent(Finished),
    /// It failed at once without a request.
    NotRequested(Finished),
    /// Nothing was tried.
    Unsent(Unsent),
}

/// Makes the attempt that a claim is for.
pub(crate) async fn attempt(context: &Context, hand: &InHand, leave: Leave) -> Came {
    let held = hand.held();
    let traced = Traced::of(held);
    let prepared = leave.unless_stopping(prepare(context, held)).await;
    match prepared {
        Some(Ok(ready)) => try_it(context, hand, leave, &ready, &traced).await,
        Some(Err(why)) => not_ready(context, held, &traced, why),
        None => unsent(&held.claim, &traced, Unsent::Stopped),
    }
}

fn unsent(claim: &Claim, traced: &Traced, why: Unsent) -> Came {
    traced.unsent(claim, None);
    Came::Unsent(why)
}

fn not_ready(context: &Context, held: &HeldClaim, traced: &Traced, why: NotReady) -> Came {
    let claim = &held.claim;
    match why {
        NotReady::StoreAway => unsent(claim, traced, Unsent::StoreAway),
        NotReady::Moved | NotReady::TokenLate => unsent(claim, traced, Unsent::Stopped),
        NotReady::LocalTrouble(trouble) => local_trouble(context, claim, traced, trouble),
        NotReady::Unreadable(what) => {
            traced.unsent(claim, Some(Outcome::RenderError));
            Came::NotRequested(unreadable(context, claim, &what))
        }
        NotReady::Unsendable(made) => {
            let (ready, made) = *made;
            Came::NotRequested(conclude(context, held, &ready, made, traced))
        }
    }
}

fn local_trouble(context: &Context, claim: &Claim, traced: &Traced, trouble: Trouble) -> Came {
    tracing::warn!(delivery_id = %claim.id, error = trouble.as_str(), "delivery.local_trouble");
    context.troubles.met(trouble);
    unsent(claim, traced, Unsent::LocalTrouble)
}

async fn try_it(
    context: &Context,
    hand: &InHand,
    leave: Leave,
    ready: &Ready,
    traced: &Traced,
) -> Came {
    let held = hand.held();
    let claim = &held.claim;
    let mut sendable = match ready.render(claim, &context.config, traced) {
        Ok(sendable) => sendable,
        Err(unsendable) => {
            let made = unsendable.made();
            return Came::NotRequested(conclude(context, held, ready, made, traced));
        }
    };
    if !leave.granted(held).await {
        return unsent(claim, traced, Unsent::Stopped);
    }
    ready.sign(claim, &mut sendable.request);
    hand.begins();
    let started = Started::now();
    let reply = send(context, &sendable.request, claim.timeout, ready.success_codes()).await;
    if let Reply::LocalTrouble(trouble) = reply {
        return local_trouble(context, claim, traced, trouble);
    }
    reached(Step::Sent, 1);
    ready.measure(context, sendable.target, &reply);
    let kind = kind_of(&reply);
    let made = started.made(reply, &sendable, ready, traced);
    let took = made.duration;
    if kind != Kind::NotRequested {
        context.troubles.sent(took);
    }
    let finished = conclude(context, held, ready, made, traced);
    match kind {
        Kind::Answered => Came::Answered(took, finished),
        Kind::Silent => Came::Silent(finished),
        Kind::NotRequested => Came::NotRequested(finished),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Answered,
    Silent,
    NotRequested,
}

/// What a reply says of how the target behaves.
fn kind_of(reply: &Reply) -> Kind {
    match reply {
        Reply::Answered { .. } | Reply::Unreadable { .. } => Kind::Answered,
        Reply::TimedOut { .. } | Reply::Broken(_) => Kind::Silent,
        Reply::ConnectFailed(_) | Reply::Blocked(_) | Reply::LocalTrouble(_) => Kind::NotRequested,
    }
}
