//! T6-T11: what became of claims.
//!
//! A batch that says nothing about lanes is one statement. One that holds, pauses or gives
//! back locks its lanes first, in id order: the one lock order of this backend.

mod lanes;
mod rows;

use std::collections::HashSet;

use postrider_domain::{ClaimNo, DeliveryId};
use sqlx::{PgConnection, Postgres, Transaction};

use super::Pg;
use super::rows::{fault, get, is_conflict, is_refusal};
use crate::{RecordReport, Recorded, StoreError, Transition};
use lanes::LaneNews;
use rows::RowColumns;

/// The state of deliveries (only under their claim: FENCE), their attempts (always), their
/// lanes' calm and their webhooks' streaks. Answers which claims were late.
///
/// One array a column and no join between them: joined, the arrays' rows were compared with each
/// other pair by pair, which cost more than the writes.
///
/// A late attempt replaces the `lost` that the janitor left in its place; anything else that
/// stands there is the same attempt, recorded before.
///
/// E3: whatever is recorded of an execution but a release (no outcome) is final and no streak.
const RECORD: &str = "
with u as (
    select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[],
        $6::integer[], $7::bigint[], $8::boolean[], $9::boolean[], $10::boolean[],
        $11::integer[], $12::timestamptz[], $13::bigint[], $14::text[], $15::integer[],
        $16::text[], $17::boolean[], $18::text[], $19::text[], $20::boolean[], $21::boolean[])
        with ordinality
        as u (id, claim_no, webhook_id, lane_id, status, given_back, after_ms, uncertain,
            refused, answered, number, started_at, duration_ms, outcome, status_code,
            request_id, duplicate, request, response, good, bad, ord)),
calm as (
    update lanes l set strikes = 0, strike_webhook = null,
        pause_step = case when c.good then 0 else l.pause_step end
    from (
        select u.lane_id, bool_or(u.good) as good
        from u where u.answered group by u.lane_id) c
    where $22 and l.id = c.lane_id and (l.strikes > 0 or c.good and l.pause_step > 0)),
g as (
    update deliveries d set
        status = case
            when d.execution_until is not null and u.outcome is not null
                and u.status = 'waiting' then 'failed'
            when u.refused and d.refusals + 1 >= 5 then 'failed' else u.status end,
        attempt = d.attempt - u.given_back,
        next_at = case
            when u.status <> 'waiting' or u.refused and d.refusals + 1 >= 5 then null
            when d.execution_until is not null then
                case when u.outcome is null then 'epoch'::timestamptz end
            when u.after_ms is null then d.created_at
            else now() + u.after_ms * interval '1 millisecond' end,
        maybe_sent = d.maybe_sent or u.uncertain,
        refusals = case when u.refused then d.refusals + 1
            when u.given_back = 0 then 0 else d.refusals end,
        attempts_recorded = d.attempts_recorded + case when u.outcome is null then 0 else 1 end,
        last_outcome = coalesce(u.outcome, d.last_outcome),
        last_status_code = case when u.outcome is null then d.last_status_code
            else u.status_code end,
        claimed_by = null, claimed_until = null, updated_at = now()
    from u
    where d.id = u.id and d.status = 'sending' and d.claim_no = u.claim_no
    returning d.id, u.webhook_id, u.ord, u.outcome, u.status_code,
        u.good and d.execution_until is null as good,
        u.bad and d.execution_until is null as bad),
kept as (
    insert into attempts as k (delivery_id, claim_no, number, started_at, duration_ms, outcome,
        status_code, github_request_id, possible_duplicate, request, response)
    select id, claim_no, number, started_at, duration_ms, outcome, status_code, request_id,
        duplicate, request, response
    from u where outcome is not null
    on conflict (delivery_id, claim_no) do update set
        started_at = excluded.started_at, duration_ms = excluded.duration_ms,
        outcome = excluded.outcome, status_code = excluded.status_code,
        github_request_id = excluded.github_request_id, request = excluded.request,
        response = excluded.response
    where k.outcome = 'lost'),
ranked as (
    select g.*, max(ord) filter (where good) over w as good_at,
        last_value(outcome) over (w order by ord rows between unbounded preceding and
            unbounded following) as newest,
        last_value(status_code) over (w order by ord rows between unbounded preceding and
            unbounded following) as newest_code
    from g where good or bad window w as (partition by webhook_id)),
news as (
    select webhook_id, count(*) filter (where bad and ord > coalesce(good_at, 0)) as failures,
        bool_or(good) as good, min(newest) as newest, min(newest_code) as newest_code
    from ranked group by webhook_id),
health as (
    insert into webhook_health as h (webhook_id, failures, failing_since, last_outcome,
        last_status_code, last_success_at)
    select webhook_id, failures, case when failures > 0 then now() end, newest, newest_code,
        case when good then now() end
    from news n
    where failures > 0 or not exists (
        select from webhook_health h where h.webhook_id = n.webhook_id and h.failures = 0
            and h.last_success_at >= now() - interval '10 seconds')
    order by webhook_id
    on conflict (webhook_id) do update set
        failures = excluded.failures
            + case when excluded.last_success_at is null then h.failures else 0 end,
        failing_since = case
            when excluded.last_success_at is null and h.failures > 0 then h.failing_since
            else excluded.failing_since end,
        last_outcome = excluded.last_outcome,
        last_status_code = excluded.last_status_code,
        last_success_at = coalesce(excluded.last_success_at, h.last_success_at))
select u.id, u.claim_no from u left join g on g.id = u.id where g.id is null";

/// T11 gives the hour's count back, in the minute of the claim: a claimed row last changed
/// when it was claimed.
const UNCOUNT: &str = "
with released as (
    select d.lane_id, date_trunc('minute', d.updated_at) as minute
    from deliveries d
    join unnest($1::uuid[], $2::bigint[]) as u (id, claim_no)
        on d.id = u.id and d.claim_no = u.claim_no
    where d.status = 'sending' and d.claim_epoch <> 0
    order by d.id
    for update of d)
update lane_minutes m set n = greatest(0, m.n - r.n)
from (select lane_id, minute, count(*)::integer as n from released group by lane_id, minute) r
where m.lane_id = r.lane_id and m.minute = r.minute";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("record", RECORD),
    ("uncount", UNCOUNT),
    ("record_lock_lanes", lanes::LOCK),
    ("record_lanes", lanes::WRITE),
];

/// Tries of a batch that loses a deadlock.
const TRIES: u32 = 5;

impl Pg {
    pub(crate) async fn record(&self, batch: &[Recorded]) -> Result<RecordReport, StoreError> {
        let batch = first_of_each_claim(batch);
        match self.record_patiently(&batch).await {
            Err(error) if is_refusal(&error) => self.record_one_by_one(&batch).await,
            done => done.map_err(fault),
        }
    }

    /// One row that the database refuses must not take the others with it. Its attempt is
    /// left out, as the state of a delivery matters more than the text of an answer.
    async fn record_one_by_one(&self, batch: &[&Recorded]) -> Result<RecordReport, StoreError> {
        let mut report = RecordReport::default();
        for recorded in batch {
            let part = match self.record_patiently(&[recorded]).await {
                Err(error) if is_refusal(&error) => {
                    tracing::error!(delivery_id = %recorded.id, %error, "attempt not kept");
                    let bare = Recorded { attempt: None, ..(*recorded).clone() };
                    self.record_patiently(&[&bare]).await
                }
                done => done,
            };
            let part = part.map_err(fault)?;
            report.late.extend(part.late);
            report.held.extend(part.held);
        }
        Ok(report)
    }

    async fn record_patiently(&self, batch: &[&Recorded]) -> Result<RecordReport, sqlx::Error> {
        for _ in 1..TRIES {
            match self.record_once(batch).await {
                Err(error) if is_conflict(&error) => {}
                done => return done,
            }
        }
        self.record_once(batch).await
    }

    async fn record_once(&self, batch: &[&Recorded]) -> Result<RecordReport, sqlx::Error> {
        let touched = lanes::touched(batch);
        if touched.is_empty() && !batch.iter().any(|each| is_release(each)) {
            let mut conn = self.pool.acquire().await?;
            let late = write(&mut conn, batch, &LaneNews::default()).await?;
            return Ok(RecordReport { late, held: Vec::new() });
        }
        let mut tx = self.pool.begin().await?;
        let news = lanes::record(&mut tx, &touched, batch).await?;
        uncount(&mut tx, batch).await?;
        let late = write(&mut tx, batch, &news).await?;
        tx.commit().await?;
        Ok(RecordReport { late, held: news.newly_held() })
    }
}

fn is_release(recorded: &Recorded) -> bool {
    matches!(recorded.transition, Transition::Released)
}

async fn uncount(
    tx: &mut Transaction<'static, Postgres>,
    batch: &[&Recorded],
) -> Result<(), sqlx::Error> {
    let (ids, claims): (Vec<_>, Vec<_>) = batch
        .iter()
        .filter(|each| is_release(each))
        .map(|each| (each.id.0, each.claim_no.0))
        .unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(UNCOUNT).bind(ids).bind(claims).execute(&mut **tx).await.map(drop)
}

async fn write(
    conn: &mut PgConnection,
    batch: &[&Recorded],
    news: &LaneNews,
) -> Result<Vec<(DeliveryId, ClaimNo)>, sqlx::Error> {
    let columns = RowColumns::of(batch, news);
    // Lanes that were locked have been dealt with, calm ones among them too.
    let calm = news.is_empty();
    let found = columns.bind(sqlx::query(RECORD)).bind(calm).fetch_all(conn).await?;
    let late = found.iter().map(|row| {
        let id = get(row, "id").map_err(undecodable)?;
        Ok((DeliveryId(id), ClaimNo(get(row, "claim_no").map_err(undecodable)?)))
    });
    late.collect()
}

fn undecodable(error: StoreError) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// A claim is recorded once a statement.
fn first_of_each_claim(batch: &[Recorded]) -> Vec<&Recorded> {
    let mut seen = HashSet::with_capacity(batch.len());
    batch.iter().filter(|each| seen.insert((each.id, each.claim_no))).collect()
}
