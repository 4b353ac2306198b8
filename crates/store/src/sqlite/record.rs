//! T6-T11: what became of a claim, recorded only under its `claim_no` (FENCE).

use std::collections::{HashMap, HashSet};

use postrider_domain::{ClaimNo, DeliveryId, StoredStatus};
use serde::Serialize;
use sqlx::Row;

use super::fault::Fault;
use super::lane_state::{LaneRow, Lanes};
use super::rows::json;
use super::writer::Turn;
use super::{Lite, claims, clock, health};
use crate::{RecordReport, Recorded, StoreError, Transition};

/// Refused credentials in a row, none of which held the lane, that end a delivery.
const REFUSALS: i64 = 5;

impl Lite {
    pub(crate) async fn record(&self, batch: &[Recorded]) -> Result<RecordReport, StoreError> {
        let batch = first_of_each_claim(batch);
        match self.record_batch(batch.clone()).await {
            Err(StoreError::Corrupt(_)) => self.record_singly(batch).await,
            result => result,
        }
    }

    async fn record_batch(&self, batch: Vec<Recorded>) -> Result<RecordReport, StoreError> {
        self.write(Outcomes::new(batch)?, |all, turn| Box::pin(record(all, turn))).await
    }

    /// One outcome that can't be written must not take the others with it. Its attempt is left
    /// out then, as the state of a delivery matters more than the text of an answer.
    async fn record_singly(&self, batch: Vec<Recorded>) -> Result<RecordReport, StoreError> {
        let mut whole = RecordReport::default();
        for item in batch {
            let part = match self.record_batch(vec![item.clone()]).await {
                Err(StoreError::Corrupt(why)) => {
                    tracing::error!(delivery_id = %item.id, why, "attempt not kept");
                    self.record_batch(vec![Recorded { attempt: None, ..item }]).await
                }
                result => result,
            }?;
            whole.late.extend(part.late);
            whole.held.extend(part.held);
        }
        Ok(whole)
    }
}

/// A claim is recorded once a batch.
fn first_of_each_claim(batch: &[Recorded]) -> Vec<Recorded> {
    let mut seen = HashSet::with_capacity(batch.len());
    batch.iter().filter(|item| seen.insert((item.id, item.claim_no))).cloned().collect()
}

/// A batch, with those statements' parameters that don't depend on the database.
struct Outcomes {
    batch: Vec<Recorded>,
    attempts: String,
    released: String,
}

impl Outcomes {
    fn new(batch: Vec<Recorded>) -> Result<Self, Fault> {
        let released: Vec<_> = batch
            .iter()
            .filter(|item| matches!(item.transition, Transition::Released))
            .map(|item| (item.id, item.claim_no))
            .collect();
        let (attempts, released) = (attempts_json(&batch)?, json(&released)?);
        Ok(Self { batch, attempts, released })
    }

    fn has_released(&self) -> bool {
        self.batch.iter().any(|item| matches!(item.transition, Transition::Released))
    }
}

/// Lanes first, so that the deliveries' next states follow what they come to.
async fn record(all: &Outcomes, turn: &mut Turn) -> Result<RecordReport, Fault> {
    let lanes = Lanes::record(&all.batch, turn).await?;
    if all.has_released() {
        claims::give_back(&all.released, turn).await?;
    }
    let recorded = update(&all.batch, &lanes, turn).await?;
    insert_attempts(&all.attempts, turn).await?;
    let kept = |item: &&Recorded| recorded.get(&(item.id, item.claim_no)).copied();
    // A test is no streak.
    let counts = |item: &&Recorded| kept(item) == Some(false);
    health::record(all.batch.iter().filter(counts), turn).await?;
    let late = all.batch.iter().filter(|item| kept(item).is_none());
    Ok(RecordReport { late: late.map(|item| (item.id, item.claim_no)).collect(), held: lanes.held })
}

/// When a row is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Never: it is final.
    Never,
    /// At once. Written as its creation, so that the oldest stays first.
    AtOnce,
    /// At this instant.
    At(i64),
}

/// What happens to the count of refusals that did not hold the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusals {
    Keep,
    Forget,
    /// One more; the fifth fails the delivery.
    Add,
}

/// A row's next state.
#[derive(Debug, Clone, Copy)]
struct Next {
    status: StoredStatus,
    due: Due,
    give_back: bool,
    uncertain: bool,
    refusals: Refusals,
}

impl Next {
    fn ended(status: StoredStatus, uncertain: bool) -> Self {
        let (due, refusals) = (Due::Never, Refusals::Keep);
        Self { status, due, give_back: false, uncertain, refusals }
    }

    fn given_back(due: Due, refusals: Refusals) -> Self {
        let status = StoredStatus::Waiting;
        Self { status, due, give_back: true, uncertain: false, refusals }
    }

    /// T6-T11. `lane` is as this batch leaves it.
    fn of(transition: Transition, lane: Option<&LaneRow>, now: i64) -> Self {
        match transition {
            Transition::Delivered => Self::ended(StoredStatus::Delivered, false),
            Transition::Failed { uncertain } => Self::ended(StoredStatus::Failed, uncertain),
            Transition::Retry { after, uncertain } => Self {
                status: StoredStatus::Waiting,
                due: Due::At(clock::later(now, after)),
                give_back: false,
                uncertain,
                refusals: Refusals::Forget,
            },
            Transition::HeldBack { secret_rev, retry_after, .. } => {
                if lane.is_some_and(LaneRow::is_held) {
                    Self::given_back(Due::AtOnce, Refusals::Keep)
                } else if lane.is_some_and(|lane| lane.secret_rev != secret_rev) {
                    // HOLD_REV: a newer secret is there to try.
                    Self::given_back(Due::AtOnce, Refusals::Keep)
                } else {
                    Self::given_back(Due::At(clock::later(now, retry_after)), Refusals::Add)
                }
            }
            Transition::Limited { .. } | Transition::Released => {
                Self::given_back(Due::AtOnce, Refusals::Keep)
            }
        }
    }
}

/// A row's change as the statement reads it.
#[derive(Serialize)]
struct Change {
    id: DeliveryId,
    claim_no: ClaimNo,
    status: &'static str,
    /// Written as the row's creation; else `next_at` is the instant, or never.
    at_once: bool,
    next_at: Option<i64>,
    give_back: u8,
    uncertain: bool,
    refused: u8,
    forget: bool,
    recorded: u8,
    outcome: Option<&'static str>,
    status_code: Option<u16>,
}

fn change(item: &Recorded, next: Next) -> Change {
    let attempt = item.attempt.as_ref();
    Change {
        id: item.id,
        claim_no: item.claim_no,
        status: next.status.as_str(),
        at_once: next.due == Due::AtOnce,
        next_at: match next.due {
            Due::Never | Due::AtOnce => None,
            Due::At(instant) => Some(instant),
        },
        give_back: u8::from(next.give_back),
        uncertain: next.uncertain,
        refused: u8::from(next.refusals == Refusals::Add),
        forget: next.refusals == Refusals::Forget,
        recorded: u8::from(attempt.is_some()),
        outcome: attempt.map(|attempt| attempt.outcome.as_str()),
        status_code: attempt.and_then(|attempt| attempt.status_code),
    }
}

/// The fenced update; returns which claims were still theirs, and whether of an execution,
/// which whatever is recorded but a release ends (E3).
async fn update(
    batch: &[Recorded],
    lanes: &Lanes,
    turn: &mut Turn,
) -> Result<HashMap<(DeliveryId, ClaimNo), bool>, Fault> {
    let now = turn.now;
    let next = |item: &Recorded| Next::of(item.transition, lanes.get(item.lane_id), now);
    let changes: Vec<_> = batch.iter().map(|item| change(item, next(item))).collect();
    let rows = sqlx::query(
        "UPDATE deliveries
         SET status = CASE WHEN execution_until IS NOT NULL AND n.recorded
                                AND n.status = 'waiting' THEN 'failed'
                           WHEN n.refused AND refusals + 1 >= ?3 THEN 'failed' ELSE n.status END,
             next_at = CASE WHEN n.refused AND refusals + 1 >= ?3 THEN NULL
                            WHEN execution_until IS NOT NULL AND n.recorded THEN NULL
                            WHEN execution_until IS NOT NULL AND n.at_once THEN 0
                            WHEN n.at_once THEN created_at ELSE n.next_at END,
             attempt = attempt - n.give_back,
             maybe_sent = maybe_sent OR n.uncertain,
             refusals = CASE WHEN n.forget THEN 0 ELSE refusals + n.refused END,
             attempts_recorded = attempts_recorded + n.recorded,
             last_outcome = CASE WHEN n.recorded THEN n.outcome ELSE last_outcome END,
             last_status_code = CASE WHEN n.recorded THEN n.status_code ELSE last_status_code END,
             claimed_by = NULL, claimed_until = NULL, updated_at = ?2
         FROM (SELECT unhex(value ->> 'id', '-') AS id, value ->> 'claim_no' AS claim_no,
                      value ->> 'status' AS status, value ->> 'at_once' AS at_once,
                      value ->> 'next_at' AS next_at, value ->> 'give_back' AS give_back,
                      value ->> 'uncertain' AS uncertain, value ->> 'refused' AS refused,
                      value ->> 'forget' AS forget, value ->> 'recorded' AS recorded,
                      value ->> 'outcome' AS outcome, value ->> 'status_code' AS status_code
               FROM json_each(?1)) n
         WHERE deliveries.id = n.id AND deliveries.claim_no = n.claim_no
           AND deliveries.status = 'sending'
         RETURNING id, claim_no, execution_until IS NOT NULL AS execution",
    )
    .bind(json(&changes)?)
    .bind(now)
    .bind(REFUSALS)
    .fetch_all(&mut turn.conn)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| -> Result<_, Fault> {
        let claim = (DeliveryId(row.try_get("id")?), ClaimNo(row.try_get("claim_no")?));
        Ok((claim, row.try_get("execution")?))
    };
    rows.iter().map(read).collect()
}

/// An attempt as the statement reads it.
#[derive(Serialize)]
struct Attempt<'a> {
    id: DeliveryId,
    claim_no: ClaimNo,
    number: u32,
    started_at: i64,
    duration: i64,
    outcome: &'static str,
    status_code: Option<u16>,
    github_request_id: Option<&'a str>,
    possible_duplicate: bool,
    request: &'a str,
    response: &'a str,
}

fn attempts_json(batch: &[Recorded]) -> Result<String, Fault> {
    let row = |item: &Recorded| {
        let attempt = item.attempt.as_ref()?;
        Some(json(&Attempt {
            id: item.id,
            claim_no: item.claim_no,
            number: attempt.number,
            started_at: attempt.started_at.as_microsecond(),
            duration: clock::micros(attempt.duration),
            outcome: attempt.outcome.as_str(),
            status_code: attempt.status_code,
            github_request_id: attempt.github_request_id.as_deref(),
            possible_duplicate: attempt.possible_duplicate,
            request: &attempt.request,
            response: &attempt.response,
        }))
    };
    let rows: Vec<String> = batch.iter().filter_map(row).collect::<Result<_, _>>()?;
    Ok(format!("[{}]", rows.join(",")))
}

/// Attempts are kept whether their claim still ran or not. A late one takes the place of the
/// record that the janitor made of its lost claim.
async fn insert_attempts(attempts: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO attempts
             (delivery_id, claim_no, number, started_at, duration, outcome, status_code,
              github_request_id, possible_duplicate, request, response)
         SELECT unhex(value ->> 'id', '-'), value ->> 'claim_no', value ->> 'number',
                value ->> 'started_at', value ->> 'duration', value ->> 'outcome',
                value ->> 'status_code', value ->> 'github_request_id',
                value ->> 'possible_duplicate', value ->> 'request', value ->> 'response'
         FROM json_each(?1) WHERE true
         ON CONFLICT (delivery_id, claim_no) DO UPDATE
         SET number = excluded.number, started_at = excluded.started_at,
             duration = excluded.duration, outcome = excluded.outcome,
             status_code = excluded.status_code, github_request_id = excluded.github_request_id,
             possible_duplicate = excluded.possible_duplicate, request = excluded.request,
             response = excluded.response
         WHERE attempts.outcome = 'lost'",
    )
    .bind(attempts)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
