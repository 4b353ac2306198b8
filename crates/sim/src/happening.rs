//! What can happen.

use std::rc::Rc;

use postrider_domain::Answer as TargetAnswer;
use postrider_scheduler::Ticket;

use crate::call::{Answer, Call, CallId};
use crate::fault::Fault;
use crate::intake::Intake;
use crate::message::{Connection, Message, Tag};
use crate::process::Who;

/// Something that happens at an instant.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A process starts.
    Starts(usize),
    /// The scheduler's next wake-up, if it was not moved since.
    Wakes(Who, u64),
    /// A call arrives at the store.
    Executes(Who, CallId, Rc<Call>),
    /// Its answer arrives at the process.
    Answers(Who, CallId, Answer),
    /// The store could not be reached: nothing was done.
    Refuses(Who, CallId),
    /// The call's deadline.
    Expires(Who, CallId),
    /// Outcomes are tried to be recorded again.
    RecordsAgain(Who),
    /// A request is ready.
    Prepared(Who, Ticket),
    /// What a probe claimed can't be sent in time any more.
    ProbeLate(Who, Ticket),
    /// A request arrives at its target.
    Arrives(Who, Ticket),
    /// An answer arrives, or what stands for one.
    Replies(Who, Ticket, TargetAnswer),
    /// A message arrives at its consumer.
    Delivered(Who, Connection, Tag, Rc<Message>),
    /// It is told that something was committed for lanes.
    Woken(Who, Vec<postrider_domain::LaneId>),
    /// An acknowledgement arrives at the queue.
    Acked(Connection, Tag),
    /// The queue notices that a consumer is gone.
    ConnectionLost(Connection),
    /// A consumer connects.
    Connects(Who),
    /// Messages are handed out.
    Pumps,
    /// A message arrives at the queue.
    Published(Message),
    /// The janitor of a process makes its round.
    Cleans(Who),
    /// An event arrives at an ingest.
    Ingests(usize),
    /// A commit arrives at the store.
    Commits(Rc<Intake>),
    /// An ingest makes due what it could not hand to the queue.
    MakesDue(Vec<postrider_domain::DeliveryId>),
    /// A process that stopped is gone.
    Exits(Who),
    /// Something goes wrong, or somebody changes something.
    Fault(Fault),
}

impl Happening {
    /// The process that has to be running for it.
    pub(crate) fn process(&self) -> Option<Who> {
        match self {
            Self::Wakes(who, _)
            | Self::Answers(who, ..)
            | Self::Refuses(who, _)
            | Self::Expires(who, _)
            | Self::RecordsAgain(who)
            | Self::Prepared(who, _)
            | Self::ProbeLate(who, _)
            | Self::Replies(who, ..)
            | Self::Delivered(who, ..)
            | Self::Woken(who, _)
            | Self::Connects(who)
            | Self::Cleans(who)
            | Self::Exits(who) => Some(*who),
            Self::Starts(_)
            | Self::Executes(..)
            | Self::Arrives(..)
            | Self::Acked(..)
            | Self::ConnectionLost(_)
            | Self::Pumps
            | Self::Published(_)
            | Self::Ingests(_)
            | Self::Commits(..)
            | Self::MakesDue(_)
            | Self::Fault(_) => None,
        }
    }
}
