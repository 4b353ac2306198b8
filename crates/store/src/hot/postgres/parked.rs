//! J5, J6: deliveries of parked webhooks stand aside, so that claims need not look at them.

use super::PostgresStore;
use super::fragments::aside;
use crate::StoreError;

/// J5. The webhook's row is locked, so that it stays parked meanwhile.
const ASIDE: &str = concat!(
    "with parked as materialized (
        select w.id, w.lane_id from webhooks w
        where w.hold_cause is not null and w.state = 'enabled'
        order by w.id for share skip locked),
    moved as (
        select d.id, p.id as webhook from parked p cross join lateral (
            select d.id from deliveries d
            where d.lane_id = p.lane_id and d.next_at <= now() and d.status = 'waiting'
                and d.webhook_id = p.id and d.execution_until is null
            order by d.next_at, d.id limit $1
            for update of d skip locked) d
        limit $1)
    update deliveries d set next_at = ",
    aside!("m.webhook"),
    " from moved m where d.id = m.id"
);

/// J6.
const BACK: &str = concat!(
    "with open as materialized (
        select w.id, w.lane_id from webhooks w
        where w.has_aside and w.hold_cause is null
        order by w.id for share skip locked),
    moved as (
        select d.id from open o cross join lateral (
            select d.id from deliveries d
            where d.lane_id = o.lane_id and d.next_at = ",
    aside!("o.id"),
    " and d.status = 'waiting'
            order by d.next_at, d.id limit $1
            for update of d skip locked) d
        limit $1)
    update deliveries d set next_at = d.created_at from moved m where d.id = m.id"
);

const NONE_ASIDE: &str = concat!(
    "update webhooks w set has_aside = false
    where w.has_aside and w.hold_cause is null and not exists (
        select from deliveries d where d.lane_id = w.lane_id and d.next_at = ",
    aside!("w.id"),
    ")"
);

const SOME: &str = "
select exists (select from webhooks where hold_cause is not null)
    or exists (select from webhooks where has_aside)";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("some_parked", SOME),
    ("parked_aside", ASIDE),
    ("parked_back", BACK),
    ("none_aside", NONE_ASIDE),
];

impl PostgresStore {
    pub(crate) async fn sort_parked(&self, limit: u32) -> Result<u64, StoreError> {
        let limit = i64::from(limit);
        self.step("sort_parked", |conn| {
            Box::pin(async move {
                if !sqlx::query_scalar(SOME).fetch_one(&mut **conn).await? {
                    return Ok::<_, sqlx::Error>(0);
                }
                let aside = sqlx::query(ASIDE).bind(limit).execute(&mut **conn).await?;
                let back = sqlx::query(BACK).bind(limit).execute(&mut **conn).await?;
                if back.rows_affected() == 0 {
                    sqlx::query(NONE_ASIDE).execute(&mut **conn).await?;
                }
                Ok(aside.rows_affected().max(back.rows_affected()))
            })
        })
        .await
    }
}
