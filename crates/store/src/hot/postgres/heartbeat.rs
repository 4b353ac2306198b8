//! HEARTBEAT, AHEAD: workers that went silent.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::Fault;
use super::janitor::{expired, lost};
use super::rows::{at, get};
use crate::{Beat, Expired, GivenBack, StoreError, TroubledWorker, WorkerId, codec};

const BEAT: &str = "
insert into workers (id, claim_ms, lease_ms, trouble, trouble_since, unclaim_no)
values ($1, $2, $3, $4, now() - $5::bigint * interval '1 millisecond', $6)
on conflict (id) do update
set beat_at = now(), claim_ms = excluded.claim_ms, lease_ms = excluded.lease_ms,
    trouble = excluded.trouble, trouble_since = excluded.trouble_since,
    unclaim_no = greatest(workers.unclaim_no, excluded.unclaim_no)";

/// Those that are silent have nothing to say.
const TROUBLED: &str = "
select id, trouble, trouble_since from workers
where trouble is not null and beat_at > now() - claim_ms * interval '1 millisecond'
order by id";

/// The first silent worker after `$1`, unless another janitor is at it. A beat that lies ahead
/// is one of a clock that ran ahead: a worker that lives beats again within a second.
const SILENT: &str = "
select id, claim_ms from workers
where ($1::uuid is null or id > $1)
    and (beat_at < now() - claim_ms * interval '1 millisecond'
        or beat_at > now() + claim_ms * interval '1 millisecond')
order by id limit 1
for update skip locked";

/// J1, J2 among the claims of worker `$2`; what ends later than in `$3` milliseconds has ended. What lies before
/// now in `next_at` is found by all janitors in each round.
const GIVE_BACK: &str = concat!(
    "with gone as (
        select d.id from lanes l cross join lateral (
            select each.id from deliveries each
            where each.lane_id = l.id and each.next_at > now()
                and each.status = 'sending' and each.claimed_by = $2
                and (each.claimed_until <= now()
                    or each.claimed_until > now() + $3::bigint * interval '1 millisecond')
            limit $1) d
        limit $1), ",
    lost!(
        "d.claimed_by = $2 and (d.claimed_until <= now() \
         or d.claimed_until > now() + $3::bigint * interval '1 millisecond')"
    )
);

const IS_SENDING: &str = "
select exists (
    select from lanes l cross join lateral (
        select from deliveries each
        where each.lane_id = l.id and each.next_at > now() and each.status = 'sending'
            and each.claimed_by = $1
        limit 1) d)";

const FORGET: &str = "delete from workers where id = $1";

/// Where the owner has no row any more, the longest lease of any worker decides.
const END_LEASES_AHEAD: &str = "
with longest as (select coalesce(max(lease_ms), 10000) as ms from workers),
ahead as (
    select m.id from limits m cross join longest g left join workers w on w.id = m.owner
    where m.owner is not null
        and m.lease_until > now() + 2 * coalesce(w.lease_ms, g.ms) * interval '1 millisecond'
    order by m.id
    for update of m skip locked)
update limits m set owner = null, lease_until = '-infinity'
where m.id = any(array(select id from ahead))
returning m.name";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("beat", BEAT),
    ("troubled_workers", TROUBLED),
    ("silent_worker", SILENT),
    ("give_back", GIVE_BACK),
    ("is_sending", IS_SENDING),
    ("forget_worker", FORGET),
    ("end_leases_ahead", END_LEASES_AHEAD),
];

impl PostgresStore {
    pub(crate) async fn beat(&self, beat: Beat) -> Result<(), StoreError> {
        self.step("beat", |conn| {
            Box::pin(async move {
                sqlx::query(BEAT)
                    .bind(beat.worker.0)
                    .bind(codec::millis(beat.claim))
                    .bind(codec::millis(beat.lease))
                    .bind(beat.trouble.map(|trouble| trouble.what))
                    .bind(beat.trouble.map(|trouble| codec::millis(trouble.lasts)))
                    .bind(beat.unclaimed.0)
                    .execute(&mut **conn)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    pub(crate) async fn troubled_workers(&self) -> Result<Vec<TroubledWorker>, StoreError> {
        let rows = self
            .ask("troubled_workers", |conn| {
                Box::pin(async move { sqlx::query(TROUBLED).fetch_all(&mut **conn).await })
            })
            .await?;
        let troubled = |row| {
            Ok(TroubledWorker {
                worker: WorkerId(get(row, "id")?),
                what: get(row, "trouble")?,
                since: at(row, "trouble_since")?,
            })
        };
        rows.iter().map(troubled).collect()
    }

    pub(crate) async fn give_back(
        &self,
        after: Option<WorkerId>,
        limit: u32,
    ) -> Result<Option<GivenBack>, StoreError> {
        self.ask("give_back", |conn| Box::pin(give_back(conn, after, limit))).await
    }

    pub(crate) async fn end_leases_ahead(&self) -> Result<Vec<String>, StoreError> {
        self.step("end_leases_ahead", |conn| {
            Box::pin(
                async move { sqlx::query_scalar(END_LEASES_AHEAD).fetch_all(&mut **conn).await },
            )
        })
        .await
    }

    /// Others may be at work.
    #[expect(clippy::unused_async, reason = "as the embedded store has it")]
    pub(crate) async fn void_predecessor(&self) -> Result<Expired, StoreError> {
        Ok(Expired::default())
    }
}

async fn give_back(
    conn: &mut PgConnection,
    after: Option<WorkerId>,
    limit: u32,
) -> Result<Option<GivenBack>, Fault> {
    let mut tx = conn.begin().await?;
    let after = after.map(|worker| worker.0);
    let silent = sqlx::query(SILENT).bind(after).fetch_optional(&mut *tx).await?;
    let Some(silent) = silent else { return Ok(None) };
    let worker: Uuid = get(&silent, "id")?;
    let claim = codec::from_millis(get(&silent, "claim_ms")?);
    let found = sqlx::query(GIVE_BACK)
        .bind(i64::from(limit))
        .bind(worker)
        .bind(codec::millis(Beat::too_far(claim)))
        .fetch_all(&mut *tx)
        .await?;
    let expired = expired(&found)?;
    let complete = found.len() < limit as usize
        && !sqlx::query_scalar::<_, bool>(IS_SENDING).bind(worker).fetch_one(&mut *tx).await?;
    if complete {
        sqlx::query(FORGET).bind(worker).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(Some(GivenBack { worker: WorkerId(worker), expired, complete }))
}
