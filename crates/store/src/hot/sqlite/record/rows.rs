//! Rows and attempts of a batch.

use std::collections::HashSet;

use postrider_domain::{ClaimNo, DeliveryId, Due, NextRow, WebhookId};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::super::bound::chunks;
use super::super::clock;
use super::super::fault::Fault;
use super::super::lane_state::Lanes;
use super::super::writer::Turn;
use crate::codec::aside;
use crate::{AttemptRow, Recorded};

const UPDATE: &str = ") \
UPDATE deliveries \
SET status = n.status, attempt = attempt - n.given_back, \
    next_at = CASE WHEN n.in_turn THEN created_at ELSE n.next_at END, \
    maybe_sent = maybe_sent OR n.marks, refusals = n.rejections, lost_claims = n.lost_claims, \
    attempts_recorded = attempts_recorded + n.recorded, \
    last_outcome = coalesce(n.outcome, last_outcome), \
    last_status_code = CASE WHEN n.outcome IS NULL THEN last_status_code ELSE n.status_code END, \
    claimed_by = NULL, claimed_until = NULL, updated_at = n.now \
FROM n \
WHERE deliveries.id = n.id AND deliveries.claim_no = n.claim_no \
  AND deliveries.status = 'sending' \
RETURNING id, claim_no";

/// The fenced update; returns which claims were still theirs.
pub(super) async fn update(
    batch: &[Recorded],
    lanes: &Lanes,
    turn: &mut Turn,
) -> Result<HashSet<(DeliveryId, ClaimNo)>, Fault> {
    let now = turn.now;
    let mut in_time = HashSet::with_capacity(batch.len());
    for chunk in chunks(batch) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "WITH n (id, claim_no, status, given_back, next_at, in_turn, marks, rejections, \
             lost_claims, recorded, outcome, status_code, now) AS (",
        );
        query.push_values(chunk, |mut values, item| {
            let next = item.next(lanes.rejection(item));
            let (next_at, in_turn) = due(&next, item.webhook_id, now);
            values
                .push_bind(item.id.0)
                .push_bind(item.claim_no.0)
                .push_bind(next.status.as_str())
                .push_bind(next.gives_back)
                .push_bind(next_at)
                .push_bind(in_turn)
                .push_bind(next.marks)
                .push_bind(next.rejections)
                .push_bind(next.lost_claims)
                .push_bind(item.attempt.is_some())
                .push_bind(next.last.map(|last| last.outcome.as_str()))
                .push_bind(next.last.and_then(|last| last.status_code))
                .push_bind(now);
        });
        query.push(UPDATE);
        let rows = query.build().fetch_all(&mut turn.conn).await?;
        let claim = |row: &SqliteRow| -> Result<_, sqlx::Error> {
            Ok((DeliveryId(row.try_get("id")?), ClaimNo(row.try_get("claim_no")?)))
        };
        for row in &rows {
            in_time.insert(claim(row)?);
        }
    }
    Ok(in_time)
}

/// When a row is looked at again, and whether that is its creation, so that the oldest stays
/// first.
fn due(next: &NextRow, webhook: WebhookId, now: i64) -> (Option<i64>, bool) {
    match next.due {
        Due::Never => (None, false),
        Due::InTurn => (None, true),
        Due::First => (Some(0), false),
        Due::Aside => (Some(aside(webhook)), false),
        Due::After(wait) => (Some(clock::later(now, wait)), false),
    }
}

const ON_CONFLICT: &str = " \
ON CONFLICT (delivery_id, claim_no) DO UPDATE \
SET number = excluded.number, started_at = excluded.started_at, duration = excluded.duration, \
    outcome = excluded.outcome, status_code = excluded.status_code, \
    github_request_id = excluded.github_request_id, \
    possible_duplicate = excluded.possible_duplicate, request = excluded.request, \
    response = excluded.response, webhook_rev = excluded.webhook_rev, \
    span_id = excluded.span_id, renderer = excluded.renderer, \
    request_bytes = excluded.request_bytes, \
    retry_after_capped = excluded.retry_after_capped \
WHERE attempts.outcome = 'lost'";

/// Attempts are kept whether their claim still ran or not. A late one takes the place of the
/// record that the janitor made of its lost claim.
pub(super) async fn insert_attempts(batch: &[Recorded], turn: &mut Turn) -> Result<(), Fault> {
    let attempts: Vec<(&Recorded, &AttemptRow)> =
        batch.iter().filter_map(|item| Some((item, item.attempt.as_ref()?))).collect();
    for chunk in chunks(&attempts) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO attempts (delivery_id, claim_no, number, started_at, duration, outcome, \
             status_code, github_request_id, possible_duplicate, request, response, \
             webhook_rev, span_id, renderer, request_bytes, retry_after_capped) ",
        );
        query.push_values(chunk, |mut values, (item, attempt)| {
            let rendition = attempt.request.rendition();
            values
                .push_bind(item.id.0)
                .push_bind(item.claim_no.0)
                .push_bind(attempt.number)
                .push_bind(attempt.started_at.as_microsecond())
                .push_bind(clock::micros(attempt.duration))
                .push_bind(attempt.outcome.as_str())
                .push_bind(attempt.status_code)
                .push_bind(attempt.github_request_id.as_deref())
                .push_bind(attempt.possible_duplicate)
                .push_bind(attempt.request.text())
                .push_bind(attempt.response.as_str())
                .push_bind(rendition.map(|rendition| rendition.webhook_rev))
                .push_bind(rendition.map(|rendition| i64::from_be_bytes(rendition.span_id)))
                .push_bind(rendition.map(|rendition| rendition.renderer))
                .push_bind(rendition.map(|rendition| rendition.body_bytes))
                .push_bind(attempt.retry_after_capped);
        });
        query.push(ON_CONFLICT);
        query.build().execute(&mut turn.conn).await?;
    }
    Ok(())
}
