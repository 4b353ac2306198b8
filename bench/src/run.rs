//! One run of one contender: start, warm up, measure, check that nothing was lost, stop.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use postrider_domain::example_webhook;

use crate::load::{PATIENCE, Schedule, Sender};
use crate::sample::{Latency, Sample, mebibytes, micros};
use crate::scenario::{Contender, Drive};
use crate::services::Services;
use crate::subject::{Conditions, Running};
use crate::target::{Answers, Arrival, Target};
use crate::usage::{Usage, Used, Watched};

/// Deliveries before anything is counted: connections, plans, caches.
const WARM_UP: u32 = 1_000;
/// Events of one call of a burst, and calls at once.
const BATCH: u32 = 100;
const CALLS: usize = 16;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After the last arrival the parts record, acknowledge and become quiet; this long at most.
const QUIET_WITHIN: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_millis(50);
/// Webhooks of what waits in held lanes, so that an event makes as many deliveries.
const HELD_WEBHOOKS: u32 = 100;
/// Secrets of the two lanes that are held.
const HELD: [&str; 2] = ["held0", "held1"];

/// A contender that runs, and who sends to it.
struct Run<'a> {
    contender: &'a Contender,
    running: Running,
    /// None where events come from inside.
    sender: Option<Sender>,
    target: &'a Target,
}

/// What was expected and what came.
struct Measured {
    deliveries: u32,
    began: Instant,
    schedule: Option<Schedule>,
}

/// Runs a contender once.
///
/// # Errors
/// It did not start, lost something, sent something twice, or was not done in ten minutes.
pub(crate) async fn once(
    contender: &Contender,
    services: &mut Services,
    target: &Target,
) -> Result<Sample> {
    target.reset(Answers::default());
    let conditions = Conditions {
        target: target.address(),
        workers: contender.workers,
        settings: &contender.settings,
        database: contender.database.as_deref(),
    };
    let running = Running::start(&contender.subject, services, &conditions).await?;
    let ready_made = !contender.subject.is_postrider();
    let sender = |base: &String| Sender::new(base, contender.webhooks, ready_made);
    let sender = running.base.as_ref().map(sender).transpose()?;
    let mut run = Run { contender, running, sender, target };
    run.prepare().await?;
    let wal = services.wal().await?;
    let before = run.running.watched().read()?;
    let measured = run.measure().await?;
    run.arrived(measured.deliveries).await?;
    let arrivals = target.arrivals()?;
    let used = quiet(run.running.watched()).await?.since(&before);
    run.recorded().await?;
    let wal = if contender.subject.needs_services() { services.wal().await? - wal } else { 0 };
    let sample = Sample {
        wal_bytes: each(wal, measured.deliveries)?,
        ..run.sample(&measured, &arrivals, &used)?
    };
    run.running.stop(services).await?;
    Ok(sample)
}

/// Waits until the parts have become quiet, so that what they still do for the last deliveries is
/// counted.
async fn quiet(watched: &Watched) -> Result<Usage> {
    let deadline = Instant::now() + QUIET_WITHIN;
    let mut last = watched.read()?.total();
    loop {
        tokio::time::sleep(QUIET).await;
        let usage = watched.read()?;
        // A fifth of one processor: one tick of the kernel's clock.
        let is_quiet = usage.total().saturating_sub(last) <= QUIET / 5;
        if is_quiet || Instant::now() > deadline {
            return Ok(usage);
        }
        last = usage.total();
    }
}

impl Run<'_> {
    fn sender(&self) -> Result<&Sender> {
        self.sender.as_ref().context("events don't come over HTTP here")
    }

    /// Webhooks, what has to wait already, and a warm-up.
    async fn prepare(&mut self) -> Result<()> {
        if self.contender.subject.is_postrider() {
            self.sender()?.prepare(&self.base()).await?;
            if self.contender.held > 0 {
                self.hold(self.contender.held).await?;
            }
        }
        // Nothing can become warm where no worker runs yet.
        if !matches!(self.contender.drive, Drive::Stale { .. }) {
            let each = self.deliveries_each();
            let events = (WARM_UP / each).max(10);
            self.burst(0, events).await?;
            self.arrived(events * each).await?;
            self.recorded().await?;
        }
        self.target.reset(self.contender.answers);
        Ok(())
    }

    fn base(&self) -> String {
        format!("http://{}", self.target.address())
    }

    fn deliveries_each(&self) -> u32 {
        self.sender.as_ref().map_or(1, Sender::deliveries_each)
    }

    async fn burst(&mut self, first: u32, events: u32) -> Result<()> {
        // The bare intake takes one event in a call.
        let batch = if self.contender.subject.is_postrider() { BATCH } else { 1 };
        match &self.sender {
            None => self.running.produce(events, PATIENCE).await,
            Some(sender) => sender.burst(first, events, batch, CALLS).await,
        }
    }

    /// Fills two lanes that are held; the lanes.
    async fn hold(&self, deliveries: u32) -> Result<Vec<String>> {
        let (sender, mut lanes) = (self.sender()?, Vec::new());
        for secret in HELD {
            sender.secret(secret).await?;
        }
        for (number, secret) in (0..HELD_WEBHOOKS).zip(HELD.into_iter().cycle()) {
            let repository = format!("acme/held-{number}");
            let document = example_webhook(&self.base(), &repository, "held", secret);
            sender.webhook(&document).await?;
        }
        for secret in HELD {
            for lane in sender.lanes_of(secret).await? {
                sender.turn(&lane, "hold").await?;
                lanes.push(lane);
            }
        }
        ensure!(lanes.len() == HELD.len(), "held {lanes:?}");
        sender.others("held", deliveries.div_ceil(HELD_WEBHOOKS)).await?;
        Ok(lanes)
    }

    async fn measure(&mut self) -> Result<Measured> {
        let (began, each) = (Instant::now(), self.deliveries_each());
        match self.contender.drive {
            Drive::Burst { events } => {
                self.burst(WARM_UP, events).await?;
                Ok(Measured { deliveries: events * each, began, schedule: None })
            }
            Drive::Callers { events, callers } => {
                self.sender()?.burst(WARM_UP, events, 1, callers).await?;
                Ok(Measured { deliveries: events * each, began, schedule: None })
            }
            Drive::Open { rate, seconds } => {
                let schedule = Schedule::new(WARM_UP, rate, seconds);
                schedule.send(self.sender()?).await?;
                let deliveries = rate * seconds * each;
                Ok(Measured { deliveries, began, schedule: Some(schedule) })
            }
            Drive::Stale { events, sweep } => {
                self.burst(WARM_UP, events).await?;
                tokio::time::sleep(sweep).await;
                let began = Instant::now();
                self.running.add_worker().await?;
                Ok(Measured { deliveries: events * each, began, schedule: None })
            }
            Drive::Released { waiting, rate, seconds } => {
                self.release(waiting, rate, seconds).await
            }
        }
    }

    async fn release(&self, waiting: u32, rate: u32, seconds: u32) -> Result<Measured> {
        let lanes = self.hold(waiting).await?;
        let began = Instant::now();
        for lane in &lanes {
            self.sender()?.turn(lane, "release").await?;
        }
        let schedule = Schedule::new(WARM_UP, rate, seconds);
        schedule.send(self.sender()?).await?;
        let released = waiting.div_ceil(HELD_WEBHOOKS) * HELD_WEBHOOKS;
        Ok(Measured { deliveries: released + rate * seconds, began, schedule: Some(schedule) })
    }

    /// Waits until the target accepted so many.
    async fn arrived(&self, count: u32) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.target.accepted() < u64::from(count) {
            if Instant::now() > deadline {
                let accepted = self.target.accepted();
                bail!("{accepted} of {count} arrived in {PATIENCE:?}\n{}", self.running.logs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until postrider says that nothing is open outside held lanes.
    async fn recorded(&self) -> Result<()> {
        if !self.contender.subject.is_postrider() {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            // With much waiting the answer may take longer than it may.
            let open = match self.contender.database {
                None => self.sender()?.open().await,
                Some(_) => self.sender()?.listed_as_open().await,
            };
            if matches!(open, Ok(0)) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not everything is recorded: {open:?}");
            tokio::time::sleep(QUIET).await;
        }
    }

    fn sample(&self, measured: &Measured, arrivals: &[Arrival], used: &Used) -> Result<Sample> {
        let deliveries = measured.deliveries;
        let distinct: HashSet<u128> = arrivals.iter().map(|arrival| arrival.id).collect();
        ensure!(distinct.len() == deliveries as usize, "{} of {deliveries} came", distinct.len());
        ensure!(arrivals.len() == distinct.len(), "some came twice");
        let (rated, waits) = split(arrivals, measured.schedule);
        let last = rated.iter().map(|arrival| arrival.at).max().context("nothing came")?;
        let seconds = last.saturating_duration_since(measured.began).as_secs_f64();
        let parts = used.parts.iter();
        let all: Duration = used.parts.values().sum();
        let machine = all + used.own + used.others;
        Ok(Sample {
            deliveries,
            seconds,
            per_second: f64::from(u32::try_from(rated.len())?) / seconds,
            cpu_us: parts.map(|(part, time)| (part.clone(), micros(*time, deliveries))).collect(),
            cpu_us_total: micros(all, deliveries),
            wal_bytes: 0.0,
            load_and_target_us: micros(used.own, deliveries),
            others_share: used.others.as_secs_f64() / machine.as_secs_f64(),
            latency_ms: Latency::of(waits),
            peak_mib: self
                .running
                .watched()
                .peaks()
                .into_iter()
                .map(|(part, bytes)| (part, mebibytes(bytes)))
                .collect(),
            ready_ms: self.running.ready_ms(),
        })
    }
}

fn each(bytes: u64, deliveries: u32) -> Result<f64> {
    Ok(f64::from(u32::try_from(bytes)?) / f64::from(deliveries))
}

/// The arrivals of which the rate is told, and the waits of those that were due at an instant:
/// usually the same, but what is released from a lane is not scheduled.
fn split(arrivals: &[Arrival], schedule: Option<Schedule>) -> (Vec<Arrival>, Vec<Duration>) {
    let due = |arrival: &Arrival| schedule.and_then(|schedule| schedule.due(arrival.number));
    let wait = |arrival: &Arrival| Some(arrival.at.saturating_duration_since(due(arrival)?));
    let waits = arrivals.iter().filter_map(wait).collect();
    let unscheduled: Vec<Arrival> =
        arrivals.iter().filter(|arrival| due(arrival).is_none()).copied().collect();
    let rated = if unscheduled.is_empty() { arrivals.to_vec() } else { unscheduled };
    (rated, waits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_released_is_rated_and_what_is_scheduled_waits() {
        let schedule = Schedule::new(WARM_UP, 10, 1);
        let arrival = |number, after| Arrival {
            number,
            id: number.into(),
            at: schedule.begin + Duration::from_millis(after),
        };
        let arrivals = [arrival(1, 500), arrival(WARM_UP, 7), arrival(WARM_UP + 1, 103)];
        let (rated, waits) = split(&arrivals, Some(schedule));
        assert_eq!(rated.len(), 1);
        assert_eq!(waits, [7, 3].map(Duration::from_millis));
        let (rated, waits) = split(&arrivals[1..], Some(schedule));
        assert_eq!((rated.len(), waits.len()), (2, 2));
        let (rated, waits) = split(&arrivals, None);
        assert_eq!((rated.len(), waits.len()), (3, 0));
    }
}
