//! T3, T4: the right to make one attempt, on unlimited lanes; what all claims share.
//!
//! A claim is two statements in one turn: what may be claimed, with all that the attempt
//! needs, then the claim itself. Nothing comes between them, because only one turn runs.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use postrider_domain::{ClaimNo, DeliveryId, EventId, LaneId, WebhookId};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::bound::{CHUNK, push_ids};
use super::fault::Fault;
use super::intake::{Lanes, make_due};
use super::writer::Turn;
use super::{SqliteStore, clock};
use crate::codec::from_millis;
use crate::{Claim, ClaimTerms, LaneShare, StoreError};

/// Claims of the same delivery that were lost before it is claimed alone (`POISON_ROW`).
const SUSPECT: i64 = 3;

impl SqliteStore {
    pub(crate) async fn claim_fresh(
        &self,
        ids: &[DeliveryId],
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut seen = HashSet::new();
        let ids: Vec<_> = ids.iter().map(|id| id.0).filter(|id| seen.insert(*id)).collect();
        self.write((ids, terms), |(ids, terms), turn| Box::pin(claim_fresh(ids, *terms, turn)))
            .await
    }

    pub(crate) async fn claim_due(
        &self,
        shares: &[LaneShare],
        suspect: bool,
        terms: ClaimTerms,
    ) -> Result<Vec<Claim>, StoreError> {
        self.write((shares.to_vec(), suspect, terms), |(shares, suspect, terms), turn| {
            Box::pin(claim_due(shares, *suspect, *terms, turn))
        })
        .await
    }
}

/// How many, and of which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    pub(super) limit: u32,
    pub(super) suspect: bool,
}

impl Pick {
    pub(super) fn of(limit: u32, suspect: bool) -> Self {
        Self { limit: if suspect { limit.min(1) } else { limit }, suspect }
    }
}

/// All that an attempt needs (`LANE_JOIN`), from `d`, `e`, `w` and `l`.
macro_rules! select_claims {
    ($from_where:literal) => {
        concat!(
            "SELECT d.id, d.claim_no + 1 AS claim_no, d.attempt + 1 AS attempt,
                    d.attempts_recorded + 1 AS number, d.maybe_sent,
                    d.lost_claims, d.event_id, e.body, e.traceparent, d.webhook_id,
                    w.rev AS webhook_rev, w.secrets_rev, w.timeout_ms, d.lane_id, l.secret_rev, d.created_at,
                    d.refusals, d.execution_until IS NOT NULL AS execution, d.next_at ",
            $from_where
        )
    };
}

/// A delivery that may be claimed.
#[derive(Debug)]
pub(super) struct Candidate {
    id: DeliveryId,
    /// Since when it is due: the order in which deliveries go.
    turn: i64,
    timeout: Duration,
    /// `None` where a row can't be read. It is claimed all the same and left to expire, so that
    /// it neither stands in the way for ever nor takes others with it.
    claim: Option<Claim>,
}

impl Candidate {
    pub(super) fn order(&self) -> (i64, DeliveryId) {
        (self.turn, self.id)
    }
}

fn candidate(row: &SqliteRow, terms: ClaimTerms) -> Result<Candidate, Fault> {
    let (id, turn) = (DeliveryId(row.try_get("id")?), row.try_get("next_at")?);
    let own: Option<i64> = row.try_get("timeout_ms")?;
    let timeout = own.map_or(terms.timeout, from_millis);
    let claim = claim(row, timeout, terms.margin);
    if let Err(error) = &claim {
        tracing::error!(delivery_id = %id, ?error, "claim.unreadable");
    }
    Ok(Candidate { id, turn, timeout, claim: claim.ok() })
}

fn claim(row: &SqliteRow, timeout: Duration, margin: Duration) -> Result<Claim, Fault> {
    Ok(Claim {
        id: DeliveryId(row.try_get("id")?),
        claim_no: ClaimNo(row.try_get("claim_no")?),
        attempt: row.try_get("attempt")?,
        number: row.try_get("number")?,
        maybe_sent: row.try_get("maybe_sent")?,
        lost_claims: row.try_get("lost_claims")?,
        event_id: EventId(row.try_get("event_id")?),
        event: row.try_get("body")?,
        traceparent: row.try_get("traceparent")?,
        webhook_id: WebhookId(row.try_get("webhook_id")?),
        webhook_rev: row.try_get("webhook_rev")?,
        lane_id: LaneId(row.try_get("lane_id")?),
        secret_rev: row.try_get("secret_rev")?,
        secrets_rev: row.try_get("secrets_rev")?,
        created_at: clock::timestamp(row.try_get("created_at")?)?,
        rejections: row.try_get("refusals")?,
        execution: row.try_get("execution")?,
        timeout,
        length: timeout + margin,
    })
}

/// T3 (`ROAD_FRESH`), with making due what can't go.
async fn claim_fresh(
    ids: &[Uuid],
    terms: ClaimTerms,
    turn: &mut Turn,
) -> Result<Vec<Claim>, Fault> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        found.extend(fresh(ids, terms, turn).await?);
    }
    found.sort_unstable_by_key(|each| each.id);
    if found.len() < ids.len() {
        make_due(ids, Lanes::Closed, turn).await?;
    }
    take(found, Right { terms, epoch: 0, fresh: true }, turn).await
}

/// Which of the ids may be claimed.
async fn fresh(ids: &[Uuid], terms: ClaimTerms, turn: &mut Turn) -> Result<Vec<Candidate>, Fault> {
    let mut query = QueryBuilder::<Sqlite>::new(select_claims!(
        "FROM deliveries d
         CROSS JOIN webhooks w ON w.id = d.webhook_id
         CROSS JOIN lanes l ON l.id = d.lane_id
         CROSS JOIN limits m ON m.id = l.limit_id
         CROSS JOIN events e ON e.id = d.event_id
         WHERE d.status = 'waiting' AND d.claim_no = 0
           AND w.lane_id = d.lane_id AND NOT l.limited AND l.hold_cause IS NULL
           AND d.id IN "
    ));
    push_ids(&mut query, ids);
    query.push(" AND CASE WHEN d.execution_until IS NULL");
    query.push(" THEN w.state = 'enabled' AND w.hold_cause IS NULL");
    query.push(" ELSE d.execution_until > ").push_bind(turn.now).push(" END");
    query.push(" AND coalesce(m.pause_until, 0) <= ").push_bind(turn.now);
    let rows = query.build().fetch_all(&mut turn.conn).await?;
    rows.iter().map(|row| candidate(row, terms)).collect()
}

/// T4.
async fn claim_due(
    shares: &[LaneShare],
    suspect: bool,
    terms: ClaimTerms,
    turn: &mut Turn,
) -> Result<Vec<Claim>, Fault> {
    let mut found = Vec::new();
    for share in shares {
        if is_open(share.lane, turn).await? {
            found.extend(due(share.lane, Pick::of(share.limit, suspect), terms, turn).await?);
        }
        if suspect && !found.is_empty() {
            break;
        }
    }
    found.sort_unstable_by_key(Candidate::order);
    take(found, Right { terms, epoch: 0, fresh: false }, turn).await
}

/// Whether anybody may claim from the lane: unlimited, neither held nor paused.
async fn is_open(lane: LaneId, turn: &mut Turn) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM lanes l JOIN limits m ON m.id = l.limit_id
             WHERE l.id = ?1 AND NOT l.limited AND l.hold_cause IS NULL
               AND coalesce(m.pause_until, 0) <= ?2)",
    )
    .bind(lane.0)
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?)
}

/// What a lane has due, oldest first. In a limited lane rows that were never claimed are due
/// from the start.
pub(super) async fn due(
    lane: LaneId,
    pick: Pick,
    terms: ClaimTerms,
    turn: &mut Turn,
) -> Result<Vec<Candidate>, Fault> {
    let rows = sqlx::query(select_claims!(
        "FROM deliveries d INDEXED BY deliveries_due
         CROSS JOIN webhooks w ON w.id = d.webhook_id
         CROSS JOIN lanes l ON l.id = d.lane_id
         CROSS JOIN events e ON e.id = d.event_id
         WHERE d.lane_id = ?1 AND d.next_at <= ?2 AND d.status = 'waiting'
           AND (d.lost_claims >= ?3) = ?4 AND w.lane_id = d.lane_id
           AND CASE WHEN d.execution_until IS NULL
                    THEN w.state = 'enabled' AND w.hold_cause IS NULL
                    ELSE d.execution_until > ?2 END
         ORDER BY d.next_at, d.id LIMIT ?5"
    ))
    .bind(lane.0)
    .bind(turn.now)
    .bind(SUSPECT)
    .bind(pick.suspect)
    .bind(pick.limit)
    .fetch_all(&mut turn.conn)
    .await?;
    rows.iter().map(|row| candidate(row, terms)).collect()
}

/// One that waits, found by its id.
pub(super) async fn one(
    id: Uuid,
    terms: ClaimTerms,
    turn: &mut Turn,
) -> Result<Vec<Candidate>, Fault> {
    let rows = sqlx::query(select_claims!(
        "FROM deliveries d
         CROSS JOIN webhooks w ON w.id = d.webhook_id
         CROSS JOIN lanes l ON l.id = d.lane_id
         CROSS JOIN events e ON e.id = d.event_id
         WHERE d.id = ?1 AND d.status = 'waiting'"
    ))
    .bind(id)
    .fetch_all(&mut turn.conn)
    .await?;
    rows.iter().map(|row| candidate(row, terms)).collect()
}

/// Under what the claims are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Right {
    pub(super) terms: ClaimTerms,
    pub(super) epoch: i64,
    /// A fresh delivery keeps a later `next_at`, so that the sweep's instant is not moved.
    pub(super) fresh: bool,
}

/// CLAIM of all of them; those that can be read, in the order given.
pub(super) async fn take(
    found: Vec<Candidate>,
    right: Right,
    turn: &mut Turn,
) -> Result<Vec<Claim>, Fault> {
    let mut by_timeout: BTreeMap<Duration, Vec<Uuid>> = BTreeMap::new();
    for each in &found {
        by_timeout.entry(each.timeout).or_default().push(each.id.0);
    }
    for (timeout, ids) in by_timeout {
        for ids in ids.chunks(CHUNK) {
            claim_rows(ids, timeout + right.terms.margin, right, turn).await?;
        }
    }
    Ok(found.into_iter().filter_map(|each| each.claim).collect())
}

async fn claim_rows(
    ids: &[Uuid],
    length: Duration,
    right: Right,
    turn: &mut Turn,
) -> Result<(), Fault> {
    let until = clock::later(turn.now, length);
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE deliveries \
         SET status = 'sending', attempt = attempt + 1, claim_no = claim_no + 1, claimed_by = ",
    );
    query.push_bind(right.terms.worker.0).push(", claim_epoch = ").push_bind(right.epoch);
    query.push(", claimed_until = ").push_bind(until);
    query.push(", updated_at = ").push_bind(turn.now);
    query.push(", next_at = max(").push_bind(until).push(", CASE WHEN ").push_bind(right.fresh);
    query.push(" THEN next_at ELSE 0 END) WHERE id IN ");
    push_ids(&mut query, ids);
    query.build().execute(&mut turn.conn).await?;
    Ok(())
}
