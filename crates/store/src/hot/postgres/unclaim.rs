//! UNCLAIM.

use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{Connection, PgConnection, Postgres};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::Fault;
use super::rows::uuids;
use crate::{StoreError, Unclaim, UnclaimNo, Unsettled, WorkerId};

/// Once it is to be had, the claim that may have locked it is over.
const LOCK_LIMIT: &str = "select from limits where id = $1 for update";

/// T11 of what worker `$1` claimed, but for live claims (`$2`, `$3`) and those that other
/// statements ask for (`$4`), unless an UNCLAIM with a larger number than `$5` was before it: then
/// no row comes back. What is locked is being recorded. Alias `d`. `$counted`: which of them count
/// in an hour, `limit_id` being that of the row's lane.
macro_rules! unclaim {
    ($scope:literal, $counted:literal) => {
        concat!(
            "with numbered as (
                update workers set unclaim_no = $5 where id = $1 and unclaim_no < $5
                returning id),
            mine as (
                select d.id, l.limit_id,
                    date_trunc('minute', d.updated_at) as minute
                from deliveries d
                cross join lateral (
                    select l.limit_id from lanes l where l.id = d.lane_id limit 1) l
                where exists (select from numbered) and ",
            $scope,
            " and d.status = 'sending' and d.claimed_by = $1
                    and not exists (
                        select from unnest($2::uuid[], $3::bigint[]) as u (id, claim_no)
                        where u.id = d.id and u.claim_no = d.claim_no)
                    and d.id <> all($4::uuid[])
                order by d.id
                for update of d skip locked),
            uncounted as (
                update limit_minutes m set n = greatest(0, m.n - c.n)
                from (
                    select limit_id, minute, count(*)::integer as n from mine
                    where ",
            $counted,
            " group by limit_id, minute) c
                where m.limit_id = c.limit_id and m.minute = c.minute),
            given_back as (
                update deliveries d set status = 'waiting', attempt = d.attempt - 1,
                    next_at = case when d.execution_until is null then d.created_at
                        else 'epoch'::timestamptz end,
                    claimed_by = null, claimed_until = null, updated_at = now()
                from mine m where d.id = m.id returning d.id)
            select (select count(*) from given_back) from numbered"
        )
    };
}

const FRESH: &str = unclaim!("d.id = any($6) and d.claim_no = 1 and d.claim_epoch = 0", "false");

/// A claimed row's `next_at` lies at the claim's end, so what is due need not be looked at.
const DUE: &str =
    unclaim!("d.lane_id = any($6) and d.next_at > now() and d.claim_epoch = 0", "false");

/// Whatever lane has left the limit since: the claim's epoch (`$7`) tells, which no lane's other
/// limit led by this worker may have too. Hours count where they were counted, or not at all. `$8`
/// is how far ahead, in milliseconds, the end of a claim may lie.
const LIMITED: &str = unclaim!(
    "d.lane_id = any(array(
            select o.id from lanes o
            cross join lateral (
                select m.id from limits m
                where m.id = o.limit_id and (m.id = $6 or m.owner is distinct from $1
                    or m.epoch <> $7)
                limit 1) m))
        and d.next_at > now() and d.next_at <= now() + $8::bigint * interval '1 millisecond'
        and d.claim_epoch = $7",
    "limit_id = $6"
);

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("unclaim_lock_limit", LOCK_LIMIT),
    ("unclaim_fresh", FRESH),
    ("unclaim_due", DUE),
    ("unclaim_limited", LIMITED),
];

impl PostgresStore {
    pub(crate) async fn unclaim(&self, asked: Unclaim<'_>) -> Result<Option<u64>, StoreError> {
        let Unclaim { worker, number, claim, kept } = asked;
        let (ids, numbers) = kept.live.iter().map(|(id, number)| (id.0, number.0)).unzip();
        let mine = Mine { worker, number, ids, numbers, pending: uuids(kept.pending) };
        let within = self.old_claims_within();
        let given_back =
            self.step("unclaim", |conn| Box::pin(unclaim(conn, &mine, claim, within))).await?;
        Ok(given_back.and_then(|count| u64::try_from(count).ok()))
    }
}

/// Whose claims go back, and which of them stay.
struct Mine {
    worker: WorkerId,
    number: UnclaimNo,
    ids: Vec<Uuid>,
    numbers: Vec<i64>,
    pending: Vec<Uuid>,
}

impl Mine {
    fn bound<'q>(&'q self, statement: &'static str) -> QueryScalar<'q, Postgres, i64, PgArguments> {
        sqlx::query_scalar(statement)
            .bind(self.worker.0)
            .bind(&self.ids)
            .bind(&self.numbers)
            .bind(&self.pending)
            .bind(self.number.0)
    }
}

async fn unclaim(
    conn: &mut PgConnection,
    mine: &Mine,
    claim: Unsettled<'_>,
    within: i64,
) -> Result<Option<i64>, Fault> {
    let lease = match claim {
        Unsettled::Fresh(asked) => {
            return Ok(mine.bound(FRESH).bind(uuids(asked)).fetch_optional(conn).await?);
        }
        Unsettled::Due(lanes) => {
            let lanes: Vec<_> = lanes.iter().map(|lane| lane.0).collect();
            return Ok(mine.bound(DUE).bind(lanes).fetch_optional(conn).await?);
        }
        Unsettled::Limited(lease) => lease,
    };
    let mut tx = conn.begin().await?;
    sqlx::query(LOCK_LIMIT).bind(lease.limit.0).execute(&mut *tx).await?;
    let limited = mine.bound(LIMITED).bind(lease.limit.0).bind(lease.epoch).bind(within);
    let given_back = limited.fetch_optional(&mut *tx).await?;
    tx.commit().await?;
    Ok(given_back)
}
