//! A batch of plain successes: nothing to decide, so nothing but one statement.

use std::collections::BTreeSet;

use sqlx::{PgConnection, Row as _};

use super::in_time::InTime;
use super::rows::{AttemptColumns, ClaimColumns};
use crate::Recorded;

/// Rows (only under their claim: FENCE), their attempts, their webhooks' last success. Writes
/// nothing if a lane, limit or webhook among them has something that a success clears: then it is
/// locked, and `seen` is 0. Answers the ordinals of those that were in time.
///
/// Each row is found by its key, one after the other: whatever the plan, its cost grows with the
/// batch alone. The streak's row is looked up by a scalar query for the same reason.
///
/// A late attempt replaces the `lost` that the janitor left in its place; anything else that
/// stands there is the same attempt, recorded before.
pub(super) const RECORD: &str = "
with u as (
    select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::integer[],
        $5::timestamptz[], $6::bigint[], $7::text[], $8::integer[], $9::text[], $10::boolean[],
        $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::integer[], $16::integer[])
        with ordinality as u (id, claim_no, webhook_id, number, started_at, duration_ms, outcome,
            status_code, request_id, duplicate, request, response, rev, span_id, renderer, bytes,
            ord)
    where not exists (
        select from lanes l where l.id = any($17::bigint[])
            and (l.strikes > 0 or coalesce((
                select m.pause_step > 0 from limits m where m.id = l.limit_id), false)))
        and not exists (
            select from webhooks w where w.id = any($18::bigint[]) and w.hold_gen <> w.good_gen)),
g as (
    update deliveries d set status = 'delivered', next_at = null,
        attempts_recorded = d.attempts_recorded + 1, last_outcome = u.outcome,
        last_status_code = u.status_code, claimed_by = null, claimed_until = null,
        updated_at = now()
    from u
    where d.id = u.id and d.status = 'sending' and d.claim_no = u.claim_no
    returning u.ord, u.webhook_id, u.outcome, u.status_code),
kept as (
    insert into attempts as k (delivery_id, claim_no, number, started_at, duration_ms, outcome,
        status_code, github_request_id, possible_duplicate, request, response, webhook_rev,
        span_id, renderer, request_bytes)
    select id, claim_no, number, started_at, duration_ms, outcome, status_code, request_id,
        duplicate, request, response, rev, span_id, renderer, bytes
    from u
    on conflict (delivery_id, claim_no) do update set
        started_at = excluded.started_at, duration_ms = excluded.duration_ms,
        outcome = excluded.outcome, status_code = excluded.status_code,
        github_request_id = excluded.github_request_id, request = excluded.request,
        response = excluded.response, webhook_rev = excluded.webhook_rev,
        span_id = excluded.span_id, renderer = excluded.renderer,
        request_bytes = excluded.request_bytes
    where k.outcome = 'lost'),
health as (
    insert into webhook_health as h (webhook_id, last_outcome, last_status_code, last_success_at)
    select n.webhook_id, n.outcome, n.status_code, now()
    from (
        select distinct on (webhook_id) webhook_id, outcome, status_code
        from g order by webhook_id, ord desc) n
    where not coalesce((
        select h.failures = 0 and h.last_success_at >= now() - interval '10 seconds'
        from webhook_health h where h.webhook_id = n.webhook_id), false)
    on conflict (webhook_id) do update set failures = 0, failing_deliveries = 0, failing_since = null,
        last_outcome = excluded.last_outcome, last_status_code = excluded.last_status_code,
        last_success_at = excluded.last_success_at)
select (select count(*) from u) as seen,
    (select coalesce(array_agg(ord), '{}') from g) as recorded";

/// `None`: a lane has to be looked at, nothing was written.
pub(super) async fn record(
    conn: &mut PgConnection,
    batch: &[&Recorded],
) -> Result<Option<InTime>, sqlx::Error> {
    let claims = ClaimColumns::of(batch);
    let attempts = AttemptColumns::of(batch);
    let lanes: BTreeSet<i64> = batch.iter().map(|each| each.lane_id.0).collect();
    let webhooks: BTreeSet<i64> = batch.iter().map(|each| each.webhook_id.0).collect();
    let query = attempts.bind(claims.bind(sqlx::query(RECORD)));
    let query = query.bind(lanes.into_iter().collect::<Vec<_>>());
    let row = query.bind(webhooks.into_iter().collect::<Vec<_>>()).fetch_one(conn).await?;
    let seen: i64 = row.try_get("seen")?;
    let recorded: Vec<i64> = row.try_get("recorded")?;
    Ok((seen > 0).then(|| InTime::new(batch.len(), &recorded)))
}
