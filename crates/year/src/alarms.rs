//! What each alarm was worth: the world knows what is wrong with it.

use postrider_store::IncidentKind;

use crate::counts::{Alarm, Worth, is_busy};
use crate::happening::Happening;
use crate::parts::Published;
use crate::plan::FaultKind;
use crate::time::{DAY, HOUR, Millis, since_beginning};
use crate::world::World;

impl World {
    /// An incident opened.
    pub(crate) fn opened(&mut self, kind: IncidentKind, subject: &str) {
        let pair = self.by_subject.get(subject).copied();
        let is_of_busy = pair.is_some_and(|pair| is_busy(self.pairs[pair].rate));
        let worth = match (kind, pair) {
            (IncidentKind::VerificationStale, Some(pair)) => self.stale(pair),
            (IncidentKind::HoldsBack, Some(pair)) => self.holds_back(pair),
            (IncidentKind::SustainedFailures, _) => self.of_webhook(subject, FaultKind::TargetGone),
            (IncidentKind::OwedAfterFailure, _) => {
                self.of_webhook(subject, FaultKind::FinalFailure)
            }
            (IncidentKind::LaneHeld, _) => {
                let number = subject.bytes().last().map(|digit| usize::from(digit - b'0'));
                let lane = number.and_then(|number| self.lanes.get(number));
                self.of_fault(lane.and_then(|lane| lane.dead), FaultKind::DeadCredential)
            }
            (IncidentKind::BrokerUnreachable, _) => self.of_fault(self.away, FaultKind::BrokerAway),
            (IncidentKind::RelayGone, _) => self.of_fault(self.relay_off, FaultKind::RelayOff),
            // Nothing of the kind is ever wrong here.
            _ => Worth::False,
        };
        let is_about_age = kind == IncidentKind::VerificationStale && worth == Worth::False;
        let owed = pair.filter(|_| is_about_age).map(|pair| self.owed_around(pair));
        self.tally.alarms.push(Alarm {
            at: self.now,
            kind,
            subject: subject.to_owned(),
            worth,
            is_of_busy,
            owed: owed.unwrap_or_default(),
        });
    }

    /// What the pair's provider owes, to see why the pair is called late.
    fn owed_around(&self, number: usize) -> Vec<String> {
        let of = &self.providers[self.pairs[number].provider];
        let minutes = |from: Millis| (self.now - from) / 60_000;
        let threshold = of.learned.threshold.map(|threshold| threshold.as_secs() / 60);
        let first = format!(
            "threshold {threshold:?} min, silent {}, last result {} min ago",
            of.learned.is_silent,
            minutes(of.last_result),
        );
        let owing = of.rows.iter().flat_map(|row| {
            let says = row.facts.says.iter().flat_map(|says| &says.owes);
            says.map(move |debt| (row, debt))
        });
        let told = owing.map(|(row, debt)| {
            let pair = self.by_subject.get(&row.key.to_string()).map(|pair| &self.pairs[*pair]);
            let run = (debt.consumer_version.parse(), debt.provider_version.parse());
            let is_running = pair
                .zip(run.0.ok().zip(run.1.ok()))
                .is_some_and(|(pair, run)| pair.running.contains(&run));
            format!(
                "{} {:?} {} for {} {:?} {:?}: {} min, running {is_running}, last of pair {:?}",
                row.key.consumer,
                debt.lines,
                debt.consumer_version,
                debt.provider_version,
                debt.because,
                debt.due,
                minutes(since_beginning(debt.since)),
                row.facts.last_verification.map(|last| minutes(since_beginning(last.at))),
            )
        });
        [first].into_iter().chain(told).collect()
    }

    fn stale(&mut self, number: usize) -> Worth {
        let excuses = self.pairs[number].excuses.clone();
        if !excuses.is_empty() {
            let of_age = excuses.into_iter().filter(|fault| self.faults[*fault].kind.is_of_age());
            let worths: Vec<Worth> =
                of_age.collect::<Vec<_>>().into_iter().map(|fault| self.found(fault)).collect();
            return worths.into_iter().min().unwrap_or(Worth::Consequence);
        }
        let pair = &self.pairs[number];
        let of = &self.providers[pair.provider];
        let counting = of.counting();
        // What is deployed needs results as well as what is newest.
        let waits_in_vain = |contract: &Published| {
            counting.iter().any(|version| {
                !contract.has_result_of(*version)
                    && !pair.running.contains(&(contract.version, *version))
            })
        };
        let deployed = pair.deployed.iter().map(|(deployed, _)| deployed);
        let mut lines = pair.newest().into_iter().chain(deployed);
        if lines.any(waits_in_vain) { Worth::True } else { Worth::False }
    }

    /// What is deployed of a consumer has to have held the provider's head back for a day.
    fn holds_back(&self, number: usize) -> Worth {
        let pair = &self.pairs[number];
        let (head, since) = self.providers[pair.provider].head();
        let holds = pair.deployed.as_ref().filter(|(deployed, _)| !deployed.has_result_of(head));
        match holds {
            _ if !pair.excuses.is_empty() => Worth::Consequence,
            Some((_, deployed_at)) if self.now - since.max(*deployed_at) >= DAY => Worth::True,
            Some(_) | None => Worth::False,
        }
    }

    fn of_webhook(&mut self, subject: &str, kind: FaultKind) -> Worth {
        let number = self.providers.iter().position(|of| of.webhook.uuid == subject);
        let Some((number, gone)) =
            number.and_then(|number| Some((number, self.providers[number].webhook.gone?)))
        else {
            return Worth::False;
        };
        if kind == FaultKind::TargetGone {
            // Who is told of the streak is not told of single failures, and mends both.
            let now = self.now;
            if let Some(one) = self.final_failure(number) {
                one.over.get_or_insert(now);
            }
            self.plan(self.now + DAY, Happening::Mend(gone));
            return self.found(gone);
        }
        let last = |one: &crate::plan::Fault| one.kind == kind && one.subject == number;
        match self.faults.iter().rposition(last) {
            Some(fault) => self.found(fault),
            None => Worth::False,
        }
    }

    fn of_fault(&mut self, fault: Option<usize>, kind: FaultKind) -> Worth {
        match fault.filter(|fault| self.faults[*fault].kind == kind) {
            Some(fault) => self.found(fault),
            None => Worth::False,
        }
    }

    fn found(&mut self, number: usize) -> Worth {
        let now = self.now;
        let fault = &mut self.faults[number];
        if fault.found.is_some() {
            return Worth::Consequence;
        }
        fault.found = Some(now);
        if matches!(fault.kind, FaultKind::LostDispatch | FaultKind::LostForDeployed) {
            // Somebody dispatches it again.
            self.plan(now + 2 * HOUR, Happening::Mend(number));
        }
        Worth::Found
    }

    /// What a fault did to a pair is over.
    pub(crate) fn is_over(&mut self, fault: usize) {
        let now = self.now;
        let fault = &mut self.faults[fault];
        if matches!(fault.kind, FaultKind::LostDispatch | FaultKind::LostForDeployed) {
            fault.over.get_or_insert(now);
        }
    }
}
