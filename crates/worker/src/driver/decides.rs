//! Who decides.

use std::sync::Arc;

use super::owed::Happened;
use crate::attempt::HeldClaim;
use postrider_scheduler::{Command, Millis, Scheduler};

/// What is to be done.
pub(crate) type Todo = Command<Arc<HeldClaim>>;

/// The scheduler, or a script in tests.
pub(crate) trait Decides {
    /// Takes note of an event and appends what follows from it.
    fn on(&mut self, now: Millis, event: Happened, todo: &mut Vec<Todo>);
    /// When it wants to be woken; `None` once it has stopped.
    fn next_wakeup(&self) -> Option<Millis>;
}

impl Decides for Scheduler<Arc<HeldClaim>> {
    fn on(&mut self, now: Millis, event: Happened, todo: &mut Vec<Todo>) {
        Self::on(self, now, event, todo);
    }

    fn next_wakeup(&self) -> Option<Millis> {
        Self::next_wakeup(self)
    }
}
