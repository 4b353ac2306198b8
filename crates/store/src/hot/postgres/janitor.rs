//! J1-J6: the janitor. It looks at no lane's state, holds no lease and skips what is locked.

use postrider_domain::DeliveryId;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::expiry_window::ExpiryWindow;
use super::rows::{at, get};
use crate::{Expired, StoreError};

/// The tail of a statement that gives claims back: what becomes of the rows of `gone` that are
/// still sending and for which `$ended` holds (alias `d`). Five losses make a row poison
/// (POISON_ROW), the first one ends an execution (E5).
macro_rules! lost {
    ($ended:literal) => {
        concat!(
            "locked as (
                select d.id, d.claim_no, d.attempts_recorded, d.maybe_sent, d.updated_at,
                    d.execution_until is not null as execution,
                    d.lost_claims + 1 >= 5 and d.execution_until is null as poison
                from deliveries d join gone g on g.id = d.id
                where d.status = 'sending' and ",
            $ended,
            " order by d.id
                for update of d skip locked),
            back as (
                update deliveries d set
                    status = case when k.poison or k.execution then 'failed' else 'waiting' end,
                    next_at = case when k.poison or k.execution then null else d.created_at end,
                    last_outcome = case when k.poison then 'poison' else 'lost' end,
                    last_status_code = null,
                    attempt = d.attempt - 1, maybe_sent = true, lost_claims = d.lost_claims + 1,
                    attempts_recorded = d.attempts_recorded + 1,
                    claimed_by = null, claimed_until = null, updated_at = now()
                from locked k where d.id = k.id
                returning d.id, d.webhook_id),
            attempt as (
                insert into attempts (delivery_id, claim_no, number, started_at, duration_ms,
                    outcome, possible_duplicate, request, response)
                select id, claim_no, attempts_recorded + 1, updated_at,
                    greatest(0, (extract(epoch from now() - updated_at) * 1000)::bigint), 'lost',
                    maybe_sent, '', ''
                from locked
                on conflict (delivery_id, claim_no) do nothing),
            aside as (
                insert into poisoned (delivery_id, webhook_id)
                select b.id, b.webhook_id from back b join locked k on k.id = b.id where k.poison
                on conflict (delivery_id) do update set at = now())
            select k.id, k.poison from gone g left join locked k on k.id = g.id"
        )
    };
}
pub(super) use lost;

/// J1, J2 among the rows of each lane whose `next_at` lies in `($2, now()]`; that of a claimed
/// row never lies before the end of its claim.
const EXPIRE: &str = concat!(
    "with gone as (
        select d.id from lanes l cross join lateral (
            select each.id from deliveries each
            where each.lane_id = l.id and each.next_at > $2 and each.next_at <= now()
                and each.status = 'sending' and each.claimed_until <= now()
            order by each.next_at limit $1) d
        limit $1), ",
    lost!("d.claimed_until <= now()")
);

/// The database's clock, and where the scan may start.
const WINDOW: &str = "select now() as now";

const NEEDS_SWEEP: &str = "select exists (select from webhooks where needs_sweep)";

/// J3. As below, one pass over what is open, lane by
/// lane: neither finished deliveries nor a webhook's history are read.
const REASSIGN: &str = "
with moved as (
    select d.id from lanes o cross join lateral (
        select each.id
        from deliveries each
        join webhooks w on w.id = each.webhook_id + 0
        where each.lane_id = o.id and each.next_at is not null and each.status = 'waiting'
            and w.needs_sweep and w.state = 'enabled' and w.lane_id <> o.id
        limit $1
        for update of each skip locked) d
    limit $1)
update deliveries d set lane_id = w.lane_id,
    next_at = case when d.claim_no = 0 or d.next_at >= timestamptz '3000-01-01 00:00:00+00'
        then d.created_at else d.next_at end,
    updated_at = now()
from moved m, webhooks w where d.id = m.id and w.id = d.webhook_id";

/// J4.
const DISCARD: &str = "
with gone as (
    select d.id, d.state from lanes o cross join lateral (
        select each.id, w.state
        from deliveries each
        join webhooks w on w.id = each.webhook_id + 0
        where each.lane_id = o.id and each.next_at is not null and each.status = 'waiting'
            and w.needs_sweep and w.state <> 'enabled' and each.execution_until is null
        limit $1
        for update of each skip locked) d
    limit $1)
update deliveries d set status = 'discarded', next_at = null,
    last_outcome = case when g.state = 'deleted' then 'webhook_deleted'
        else 'webhook_disabled' end,
    last_status_code = null, updated_at = now()
from gone g where d.id = g.id";

/// A webhook is swept once nothing open is out of place; not before two minutes have passed,
/// since an intake statement from before the change may commit late.
const SWEPT: &str = "
with misplaced as materialized (
    select d.webhook_id from lanes o cross join lateral (
        select each.webhook_id
        from deliveries each
        join webhooks x on x.id = each.webhook_id + 0
        where each.lane_id = o.id and each.next_at is not null and x.needs_sweep
            and (x.lane_id <> o.id or x.state <> 'enabled')
        offset 0) d)
update webhooks w set needs_sweep = false
where w.needs_sweep and w.updated_at < now() - interval '2 minutes'
    and not exists (select from misplaced m where m.webhook_id = w.id)";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("expire", EXPIRE),
    ("expiry_window", WINDOW),
    ("needs_sweep", NEEDS_SWEEP),
    ("reassign_lanes", REASSIGN),
    ("discard", DISCARD),
    ("swept", SWEPT),
];

impl PostgresStore {
    pub(crate) async fn expire_claims(&self, limit: u32) -> Result<Expired, StoreError> {
        let row = self
            .step("expiry_window", |conn| {
                Box::pin(async move { sqlx::query(WINDOW).fetch_one(&mut **conn).await })
            })
            .await?;
        let now = at(&row, "now")?;
        let from = self.window(|window| window.from(now));
        let found = self
            .step("expire", |conn| {
                Box::pin(async move {
                    sqlx::query(EXPIRE)
                        .bind(i64::from(limit))
                        .bind(jiff_sqlx::ToSqlx::to_sqlx(from))
                        .fetch_all(&mut **conn)
                        .await
                })
            })
            .await?;
        if found.len() < limit as usize {
            self.window(|window| window.completed(from, now));
        }
        expired(&found)
    }

    fn window<T>(&self, with: impl FnOnce(&mut ExpiryWindow) -> T) -> T {
        with(&mut self.expiry.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(crate) async fn reassign_lanes(&self, limit: u32) -> Result<u64, StoreError> {
        self.sweep(REASSIGN, limit).await
    }

    pub(crate) async fn discard(&self, limit: u32) -> Result<u64, StoreError> {
        let discarded = self.sweep(DISCARD, limit).await?;
        if discarded == 0 && self.needs_sweep().await? {
            self.step("swept", |conn| {
                Box::pin(async move { sqlx::query(SWEPT).execute(&mut **conn).await })
            })
            .await?;
        }
        Ok(discarded)
    }

    async fn sweep(&self, statement: &'static str, limit: u32) -> Result<u64, StoreError> {
        if !self.needs_sweep().await? {
            return Ok(0);
        }
        let swept = self.step("sweep", |conn| {
            Box::pin(async move {
                sqlx::query(statement).bind(i64::from(limit)).execute(&mut **conn).await
            })
        });
        Ok(swept.await?.rows_affected())
    }

    async fn needs_sweep(&self) -> Result<bool, StoreError> {
        self.step("needs_sweep", |conn| {
            Box::pin(async move { sqlx::query_scalar(NEEDS_SWEEP).fetch_one(&mut **conn).await })
        })
        .await
    }
}

/// What a statement of [`lost`] claims says.
pub(super) fn expired(found: &[PgRow]) -> Result<Expired, StoreError> {
    let mut expired = Expired::default();
    for row in found {
        // A row that somebody else has locked is being recorded or expired by them.
        let Some(id) = get::<Option<uuid::Uuid>, _>(row, "id")? else {
            continue;
        };
        if get::<bool, _>(row, "poison")? {
            expired.poisoned.push(DeliveryId(id));
        } else {
            expired.given_back.push(DeliveryId(id));
        }
    }
    Ok(expired)
}
