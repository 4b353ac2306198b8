//! The bench: targets and time; its store is in `store`.

mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, LaneId, LimitId};
use uuid::Uuid;

use super::super::*;

/// What a claim carries here.
pub(super) type Payload = (ClaimKey, LaneId);
type Heard = Event<Payload>;
type Told = Command<Payload>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Sending,
    Done,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    lane: LaneId,
    state: State,
    claim_no: i64,
    epoch: i64,
    next_at: u64,
    until: u64,
}

/// A target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Answers after so many milliseconds.
    Answers(u64),
    /// Answers after so many milliseconds that it has failed, to be tried again after as many.
    Fails(u64, u64),
    /// Takes connections and says nothing.
    Hangs,
    /// Refuses connections.
    Refuses,
    /// Refuses the credential.
    Rejects,
    /// Asks to be left alone for so many milliseconds.
    Limits(u64),
}

#[derive(Debug, Clone)]
pub(super) struct StoreLane {
    pub(super) limit: LimitId,
    pub(super) host: String,
    pub(super) target: Target,
    pub(super) held: bool,
    pub(super) probe_due: bool,
    /// When the next probe is due.
    pub(super) probe_at: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct StoreLimit {
    pub(super) terms: Terms,
    pub(super) epoch: i64,
    pub(super) leased_until: u64,
    pub(super) next_send_at: u64,
    pub(super) paused_until: u64,
    /// Requests that may still be claimed.
    pub(super) budget: Option<u32>,
    pub(super) frees_at: u64,
}

#[derive(Debug)]
enum Happens {
    Heard(Heard),
    Done(Told),
    Ends(Ticket),
    Committed(ClaimKey, LaneId, Came),
}

/// What became of a claim: its request met this target, or it is due again then.
#[derive(Debug, Clone, Copy)]
enum Came {
    To(Target),
    Back(u64),
}

struct Attempt {
    payload: Option<Payload>,
    permit: Permit,
    is_probe: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is something that goes wrong by itself")]
pub(super) struct World {
    pub(super) scheduler: Scheduler<Payload>,
    pub(super) now: u64,
    pub(super) lanes: BTreeMap<LaneId, StoreLane>,
    pub(super) limits: BTreeMap<LimitId, StoreLimit>,
    rows: BTreeMap<DeliveryId, Row>,
    queue: BTreeMap<(u64, u64), Happens>,
    seq: u64,
    attempts: HashMap<Ticket, Attempt>,
    /// Round trip to the store, how long an outcome waits until it is committed, and the time-out
    /// of a request.
    pub(super) rtt: u64,
    pub(super) records_in: u64,
    pub(super) timeout: u64,
    /// Requests in the order in which they left.
    pub(super) sent: Vec<(u64, LaneId, DeliveryId)>,
    pub(super) under_way: BTreeMap<LaneId, u32>,
    pub(super) most_under_way: u32,
    pub(super) acked: BTreeSet<DeliveryId>,
    pub(super) made_due: u32,
    pub(super) claims: u32,
    pub(super) polls: u32,
    /// When probes left, and when they were begun.
    pub(super) probes: Vec<u64>,
    pub(super) probes_begun: Vec<u64>,
    pub(super) log: Vec<&'static str>,
    /// What goes wrong.
    pub(super) store_away: bool,
    pub(super) claims_unknown: bool,
    pub(super) no_descriptors: bool,
    pub(super) audits: bool,
    made: u128,
}

pub(super) fn lane(number: i64) -> LaneId {
    LaneId(number)
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            scheduler: Scheduler::new(settings),
            now: 0,
            lanes: BTreeMap::new(),
            limits: BTreeMap::new(),
            rows: BTreeMap::new(),
            queue: BTreeMap::new(),
            seq: 0,
            attempts: HashMap::new(),
            rtt: 2,
            records_in: 0,
            timeout: 15_000,
            sent: Vec::new(),
            under_way: BTreeMap::new(),
            most_under_way: 0,
            acked: BTreeSet::new(),
            made_due: 0,
            claims: 0,
            polls: 0,
            probes: Vec::new(),
            probes_begun: Vec::new(),
            log: Vec::new(),
            store_away: false,
            claims_unknown: false,
            no_descriptors: false,
            audits: true,
            made: 0,
        }
    }

    /// A lane with a limit and a host of its own.
    pub(super) fn add(&mut self, number: i64, terms: Terms, target: Target) -> LaneId {
        let id = lane(number);
        let limit = LimitId(number);
        let host = format!("host-{number}");
        let (held, probe_due, probe_at) = (false, false, None);
        self.lanes.insert(id, StoreLane { limit, host, target, held, probe_due, probe_at });
        self.limits.insert(
            limit,
            StoreLimit {
                terms,
                epoch: 0,
                leased_until: 0,
                next_send_at: 0,
                paused_until: 0,
                budget: None,
                frees_at: 0,
            },
        );
        id
    }

    pub(super) fn unlimited(&mut self, number: i64, target: Target) -> LaneId {
        self.add(number, Terms { concurrency: 64, pacing: Pacing::Unlimited }, target)
    }

    pub(super) fn limited(
        &mut self,
        number: i64,
        pace: Pace,
        concurrency: u32,
        target: Target,
    ) -> LaneId {
        let pacing = Pacing::Limited { pace: Some(pace) };
        self.add(number, Terms { concurrency, pacing }, target)
    }

    fn row(&mut self, lane: LaneId, next_at: u64) -> DeliveryId {
        self.made += 1;
        let id = DeliveryId(Uuid::from_u128(self.made));
        let row = Row { lane, state: State::Waiting, claim_no: 0, epoch: 0, next_at, until: 0 };
        self.rows.insert(id, row);
        id
    }

    /// Deliveries that a message brings now.
    pub(super) fn message(&mut self, lane: LaneId, count: usize) -> Vec<DeliveryId> {
        let swept_at = self.now + 120_000;
        let ids: Vec<DeliveryId> = (0..count).map(|_| self.row(lane, swept_at)).collect();
        let deliveries = ids.iter().map(|id| (*id, lane)).collect();
        self.hear(Event::Received { deliveries, wake: Vec::new() });
        ids
    }

    /// The delivery belongs to another lane from now on.
    pub(super) fn moves(&mut self, id: DeliveryId, lane: LaneId) {
        self.rows.get_mut(&id).unwrap().lane = lane;
    }

    /// Everything that waits is due.
    pub(super) fn sweep(&mut self) {
        for row in self.rows.values_mut().filter(|row| row.state == State::Waiting) {
            row.next_at = row.next_at.min(self.now);
        }
    }

    /// Deliveries that are due in the store, without a word.
    pub(super) fn due(&mut self, lane: LaneId, count: usize) -> Vec<DeliveryId> {
        (0..count).map(|_| self.row(lane, self.now)).collect()
    }

    pub(super) fn hear(&mut self, event: Heard) {
        let mut commands = Vec::new();
        self.scheduler.on(Millis(self.now), event, &mut commands);
        self.carry_out(commands);
    }

    fn at(&mut self, time: u64, what: Happens) {
        self.seq += 1;
        self.queue.insert((time, self.seq), what);
    }

    /// Lets time pass until `until`.
    pub(super) fn run(&mut self, until: u64) {
        let mut steps = 0_u64;
        loop {
            steps += 1;
            assert!(steps < 2_000_000, "nothing but wake-ups at {}", self.now);
            let event = self.queue.first_key_value().map(|((time, _), _)| *time);
            let wake = self.scheduler.next_wakeup().map(|at| at.0.max(self.now));
            match (event, wake) {
                (Some(event), wake) if event <= until && wake.is_none_or(|wake| event <= wake) => {
                    self.now = self.now.max(event);
                    let (_, what) = self.queue.pop_first().unwrap();
                    self.happens(what);
                }
                (_, Some(wake)) if wake <= until => {
                    self.now = wake;
                    self.hear(Event::Timeout);
                    if self.audits {
                        self.scheduler.audit().unwrap();
                    }
                }
                _ => break,
            }
        }
        self.now = until;
    }

    fn happens(&mut self, what: Happens) {
        match what {
            Happens::Heard(event) => self.hear(event),
            Happens::Done(command) => {
                let event = self.execute(command);
                self.at(self.now + self.rtt / 2, Happens::Heard(event));
            }
            Happens::Ends(ticket) => self.ends(ticket),
            Happens::Committed(key, lane, came) => self.committed(key, lane, came),
        }
    }

    fn carry_out(&mut self, commands: Vec<Told>) {
        for command in commands {
            match command {
                Command::Start { claim, permit, send } => {
                    let ticket = permit.ticket();
                    let attempt = Attempt { payload: Some(claim), permit, is_probe: false };
                    self.attempts.insert(ticket, attempt);
                    match send {
                        SendWhen::Ready => self.send(ticket),
                        SendWhen::Told => {
                            let event = Event::Prepared { ticket, claim: None };
                            self.at(self.now, Happens::Heard(event));
                        }
                    }
                }
                Command::Probe { permit, .. } => {
                    let ticket = permit.ticket();
                    let lane = self.lanes.get_mut(&permit.lane()).unwrap();
                    (lane.probe_due, lane.probe_at) = (false, None);
                    self.probes_begun.push(self.now);
                    self.attempts.insert(ticket, Attempt { payload: None, permit, is_probe: true });
                    let event = Event::Prepared { ticket, claim: None };
                    self.at(self.now + self.rtt, Happens::Heard(event));
                }
                Command::Send(ticket) => self.send(ticket),
                Command::Withdraw(ticket) => self.unsent(ticket, Unsent::Stopped),
                Command::Release { claim: (key, lane), due_in } => {
                    let due_at = self.now + u64::try_from(due_in.as_millis()).unwrap();
                    self.commit(key, lane, Came::Back(due_at));
                }
                Command::Ack { ids } => self.acked.extend(ids),
                Command::GiveUp { leases } => {
                    self.log.push("given up");
                    for lease in leases {
                        self.limits.get_mut(&lease.limit).unwrap().leased_until = 0;
                    }
                }
                Command::ClaimAtIntake { offer, .. } | Command::Decline { offer } => {
                    unreachable!("{offer:?}: intake is elsewhere here")
                }
                Command::PauseConsumer => self.log.push("paused"),
                Command::ResumeConsumer => self.log.push("resumed"),
                Command::Stopped => self.log.push("stopped"),
                command @ (Command::Renew { .. }
                | Command::Acquire { .. }
                | Command::Poll(_)
                | Command::ClaimFresh { .. }
                | Command::ClaimDue { .. }
                | Command::ClaimLimited { .. }
                | Command::Unclaim { .. }
                | Command::MakeDue { .. }) => {
                    self.at(self.now + self.rtt / 2, Happens::Done(command));
                }
            }
        }
    }

    fn send(&mut self, ticket: Ticket) {
        if self.no_descriptors {
            return self.unsent(ticket, Unsent::LocalTrouble);
        }
        let Some(attempt) = self.attempts.get(&ticket) else { return };
        if !attempt.permit.may_send(Millis(self.now)) {
            return self.unsent(ticket, Unsent::Stopped);
        }
        if attempt.is_probe {
            self.probes.push(self.now);
            return self.at(self.now + 10, Happens::Ends(ticket));
        }
        let Some((key, lane)) = attempt.payload else { return };
        self.sent.push((self.now, lane, key.id));
        let under_way = self.under_way.entry(lane).or_default();
        *under_way += 1;
        self.most_under_way = self.most_under_way.max(self.under_way.values().sum());
        let took = match self.lanes[&lane].target {
            Target::Answers(took) | Target::Fails(took, _) => took,
            Target::Hangs => self.timeout,
            Target::Refuses => 0,
            Target::Rejects | Target::Limits(_) => 5,
        };
        self.at(self.now + took, Happens::Ends(ticket));
    }

    fn unsent(&mut self, ticket: Ticket, why: Unsent) {
        let Some(attempt) = self.attempts.remove(&ticket) else { return };
        let event = match attempt.payload {
            Some(claim) => {
                Event::AttemptEnded { permit: attempt.permit, ended: Ended::Unsent { claim, why } }
            }
            None => Event::Probed { permit: attempt.permit },
        };
        self.at(self.now, Happens::Heard(event));
    }

    fn ends(&mut self, ticket: Ticket) {
        let Attempt { payload, permit, .. } = self.attempts.remove(&ticket).unwrap();
        let Some((key, lane)) = payload else {
            let state = self.lanes.get_mut(&permit.lane()).unwrap();
            state.held = false;
            return self.hear(Event::Probed { permit });
        };
        *self.under_way.get_mut(&lane).unwrap() -= 1;
        let target = self.lanes[&lane].target;
        let took = |millis| Duration::from_millis(millis);
        let answered = |millis, verdict| Ended::Answered { took: took(millis), verdict };
        let ended = match target {
            Target::Answers(millis) => answered(millis, Verdict::Continue),
            Target::Fails(millis, after) => answered(millis, Verdict::Retry { after: took(after) }),
            Target::Hangs => Ended::Silent { verdict: Verdict::Continue },
            Target::Refuses => Ended::NotRequested { verdict: Verdict::Continue },
            Target::Rejects => answered(5, Verdict::CredentialRejected),
            Target::Limits(_) => answered(5, Verdict::Limited),
        };
        self.commit(key, lane, Came::To(target));
        self.hear(Event::AttemptEnded { permit, ended });
    }

    fn commit(&mut self, key: ClaimKey, lane: LaneId, came: Came) {
        if self.records_in == 0 {
            self.committed(key, lane, came);
        } else {
            self.at(self.now + self.records_in, Happens::Committed(key, lane, came));
        }
    }

    /// Rows of the lane that are not done.
    pub(super) fn left(&self, lane: LaneId) -> usize {
        self.rows.values().filter(|row| row.lane == lane && row.state != State::Done).count()
    }

    pub(super) fn sent_by(&self, lane: LaneId) -> Vec<u64> {
        self.sent.iter().filter(|(_, of, _)| *of == lane).map(|(at, _, _)| *at).collect()
    }

    /// How often a delivery was sent.
    pub(super) fn times_sent(&self, id: DeliveryId) -> usize {
        self.sent.iter().filter(|(_, _, sent)| *sent == id).count()
    }
}

impl Drop for World {
    /// The bench ends before its attempts do.
    fn drop(&mut self) {
        for (_, attempt) in self.attempts.drain() {
            attempt.permit.forfeit();
        }
        for (_, what) in std::mem::take(&mut self.queue) {
            if let Happens::Heard(Event::AttemptEnded { permit, .. } | Event::Probed { permit }) =
                what
            {
                permit.forfeit();
            }
        }
    }
}
