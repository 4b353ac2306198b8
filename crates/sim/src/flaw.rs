//! Faults planted between a scheduler and its driver, to see that the simulation finds them.

mod held;

use std::collections::BTreeMap;

use postrider_domain::DeliveryId;
use postrider_scheduler::{
    Batch, Command, Event, Millis, Pace, Pacing, Scheduler, SendWhen, Settings,
};
use postrider_store::Claim;

use held::HeldClaims;

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Messages are acknowledged when they are taken.
    AckAtTake,
    /// Messages are acknowledged when a claim failed.
    AckOnError,
    /// A permit comes back when its request leaves, and not only when it ends: as if it came back
    /// twice, which its type rules out.
    PermitBackEarly,
    /// Pauses of limits are not seen.
    PauseHidden,
    /// Limits are paced without their margin.
    NoMargin,
    /// Claims of limited lanes are sent without a token.
    NoTokens,
    /// Claims of unknown fate are not given back.
    NoUnclaim,
    /// UNCLAIMs are numbered when they are carried out, and not when they are asked for: none is
    /// ever late.
    LateUnclaim,
    /// A wake-up is lost now and then.
    LostWakeUp,
    /// A leader that hears of something committed for a lane claims it although it knows it held,
    /// gives back what came, and goes on so until a look tells that it is open.
    HeldClaim,
    /// Claims by messages don't see that a webhook is parked.
    ParkHidden,
    /// A probe of a parked webhook that finds it taken again does not release it.
    ReleaseForgotten,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::AckAtTake,
        Self::AckOnError,
        Self::PermitBackEarly,
        Self::PauseHidden,
        Self::NoMargin,
        Self::NoTokens,
        Self::NoUnclaim,
        Self::LateUnclaim,
        Self::LostWakeUp,
        Self::HeldClaim,
        Self::ParkHidden,
        Self::ReleaseForgotten,
    ];
}

/// One wake-up of so many is lost.
const LOST_ONE_OF: u64 = 60;

/// A scheduler, perhaps with a flaw.
#[derive(Debug)]
pub(crate) struct Flawed {
    scheduler: Scheduler<Claim>,
    flaw: Option<Flaw>,
    asked: BTreeMap<Batch, Vec<DeliveryId>>,
    wakes: u64,
    held: HeldClaims,
}

impl Flawed {
    pub(crate) fn new(settings: Settings, flaw: Option<Flaw>) -> Self {
        let (asked, held) = (BTreeMap::new(), HeldClaims::default());
        Self { scheduler: Scheduler::new(settings), flaw, asked, wakes: 0, held }
    }

    pub(crate) fn on(
        &mut self,
        now: Millis,
        event: Event<Claim>,
        commands: &mut Vec<Command<Claim>>,
    ) {
        match self.flaw {
            None
            | Some(
                Flaw::PermitBackEarly
                | Flaw::LostWakeUp
                | Flaw::LateUnclaim
                | Flaw::ParkHidden
                | Flaw::ReleaseForgotten,
            ) => self.scheduler.on(now, event, commands),
            Some(Flaw::HeldClaim) => {
                if let Some(event) = self.held.hears(event, commands) {
                    self.scheduler.on(now, event, commands);
                }
            }
            Some(flaw) => self.on_flawed(flaw, now, event, commands),
        }
    }

    pub(crate) fn next_wakeup(&mut self) -> Option<Millis> {
        let next = self.scheduler.next_wakeup();
        self.wakes += 1;
        let is_lost = self.flaw == Some(Flaw::LostWakeUp) && self.wakes.is_multiple_of(LOST_ONE_OF);
        next.filter(|_| !is_lost)
    }

    pub(crate) fn audit(&self) -> Result<(), String> {
        match self.flaw {
            // It would find them at once, and from within.
            Some(_) => Ok(()),
            None => self.scheduler.audit(),
        }
    }

    fn on_flawed(
        &mut self,
        flaw: Flaw,
        now: Millis,
        mut event: Event<Claim>,
        commands: &mut Vec<Command<Claim>>,
    ) {
        let early = self.acks(flaw, &event);
        if let Event::Polled { lanes, .. } = &mut event {
            for lane in lanes {
                if flaw == Flaw::PauseHidden {
                    lane.limit.paused_for = None;
                }
                if flaw == Flaw::NoMargin {
                    lane.limit.terms.pacing = without_margin(lane.limit.terms.pacing);
                }
            }
        }
        let mut told = Vec::new();
        self.scheduler.on(now, event, &mut told);
        let mut again = Vec::new();
        for command in told {
            match command {
                Command::Unclaim { batch, .. } if flaw == Flaw::NoUnclaim => {
                    again.push(Event::Unclaimed { batch });
                }
                Command::Start { claim, permit, .. } if flaw == Flaw::NoTokens => {
                    commands.push(Command::Start { claim, permit, send: SendWhen::Ready });
                }
                Command::ClaimFresh { batch, ids } => {
                    if flaw == Flaw::AckOnError {
                        self.asked.insert(batch, ids.clone());
                    }
                    commands.push(Command::ClaimFresh { batch, ids });
                }
                other => commands.push(other),
            }
        }
        commands.extend(early.map(|ids| Command::Ack { ids }));
        for event in again {
            self.scheduler.on(now, event, commands);
        }
    }

    fn acks(&mut self, flaw: Flaw, event: &Event<Claim>) -> Option<Vec<DeliveryId>> {
        match event {
            Event::Received { deliveries, .. } if flaw == Flaw::AckAtTake => {
                Some(deliveries.iter().map(|(id, _)| *id).collect())
            }
            Event::ClaimFailed { batch, .. } => self.asked.remove(batch),
            _ => None,
        }
    }
}

/// Takes the margin of a second at most off, as exact spacing would.
fn without_margin(pacing: Pacing) -> Pacing {
    match pacing {
        Pacing::Limited { pace: Some(Pace { interval, burst }) } => {
            // The margin is a twentieth of the window for most windows.
            Pacing::Limited { pace: Some(Pace { interval: interval * 20 / 21, burst }) }
        }
        other @ (Pacing::Limited { pace: None } | Pacing::Unlimited) => other,
    }
}
