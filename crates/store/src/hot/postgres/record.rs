//! T6-T11: what became of claims.
//!
//! A batch of nothing but plain successes, which is nearly every one, is one statement ([`plain`]).
//! Any other is a transaction: its limits first, then its lanes, then its webhooks, each in id
//! order, then minutes, rows and the streaks of its webhooks (`HOLD_BEFORE_ROW`).

mod in_time;
mod lanes;
mod plain;
mod rows;
mod streaks;
mod webhooks;

use sqlx::{Connection as _, PgConnection};

use super::PostgresStore;
use crate::record::first_of_each_claim;
use crate::{RecordReport, Recorded, StoreError};

/// T11 gives the hour's count back, in the minute of the claim: a claimed row last changed
/// when it was claimed.
const UNCOUNT: &str = "
with released as (
    select l.limit_id, date_trunc('minute', d.updated_at) as minute
    from deliveries d
    join unnest($1::uuid[], $2::bigint[]) as u (id, claim_no)
        on d.id = u.id and d.claim_no = u.claim_no
    cross join lateral (select l.limit_id from lanes l where l.id = d.lane_id limit 1) l
    where d.status = 'sending' and d.claim_epoch <> 0
    order by d.id
    for update of d)
update limit_minutes m set n = greatest(0, m.n - r.n)
from (select limit_id, minute, count(*)::integer as n from released group by limit_id, minute) r
where m.limit_id = r.limit_id and m.minute = r.minute";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("record_plain", plain::RECORD),
    ("record_rows", rows::RECORD),
    ("record_uncount", UNCOUNT),
    ("record_lock_limits", lanes::LOCK_LIMITS),
    ("record_lock_lanes", lanes::LOCK),
    ("record_limits", lanes::WRITE_LIMITS),
    ("record_lanes", lanes::WRITE),
    ("record_repeated", lanes::REPEATED),
    ("record_lock_webhooks", webhooks::LOCK),
    ("record_webhooks", webhooks::WRITE),
    ("record_end_parks", webhooks::END),
    ("record_streaks", streaks::WRITE),
];

impl PostgresStore {
    pub(crate) async fn record(&self, batch: &[Recorded]) -> Result<RecordReport, StoreError> {
        let batch = first_of_each_claim(batch);
        match self.record_batch(&batch).await {
            Err(StoreError::Corrupt(_)) => self.record_one_by_one(&batch).await,
            done => done,
        }
    }

    /// One row that the database refuses must not take the others with it. Its attempt is
    /// left out, as the state of a delivery matters more than the text of an answer.
    async fn record_one_by_one(&self, batch: &[&Recorded]) -> Result<RecordReport, StoreError> {
        let mut report = RecordReport::default();
        for recorded in batch {
            let part = match self.record_batch(&[recorded]).await {
                Err(StoreError::Corrupt(error)) => {
                    tracing::error!(delivery_id = %recorded.id, %error, "record.attempt_not_kept");
                    let bare = Recorded { attempt: None, ..(*recorded).clone() };
                    self.record_batch(&[&bare]).await
                }
                done => done,
            };
            match part {
                Ok(part) => {
                    report.late.extend(part.late);
                    report.held.extend(part.held);
                }
                Err(StoreError::Corrupt(error)) => {
                    // Its claim expires and the attempt is made again, marked.
                    tracing::error!(delivery_id = %recorded.id, %error, "record.outcome_not_kept");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    async fn record_batch(&self, batch: &[&Recorded]) -> Result<RecordReport, StoreError> {
        if batch.is_empty() {
            return Ok(RecordReport::default());
        }
        if batch.iter().all(|each| each.is_plain()) {
            let plain = self.step("record_plain", |conn| {
                Box::pin(async move { plain::record(conn, batch).await })
            });
            if let Some(recorded) = plain.await? {
                return Ok(RecordReport { late: recorded.late(batch), held: Vec::new() });
            }
        }
        self.step("record", |conn| Box::pin(async move { record_any(conn, batch).await })).await
    }
}

async fn record_any(
    conn: &mut PgConnection,
    batch: &[&Recorded],
) -> Result<RecordReport, sqlx::Error> {
    let mut tx = conn.begin().await?;
    let lanes = lanes::record(&mut tx, batch).await?;
    uncount(&mut tx, batch).await?;
    let recorded = rows::record(&mut tx, batch, &lanes).await?;
    streaks::record(&mut tx, &recorded.of(batch)).await?;
    tx.commit().await?;
    Ok(RecordReport { late: recorded.late(batch), held: lanes.newly_held() })
}

async fn uncount(conn: &mut PgConnection, batch: &[&Recorded]) -> Result<(), sqlx::Error> {
    let (ids, claims): (Vec<_>, Vec<_>) = batch
        .iter()
        .filter(|each| each.is_release())
        .map(|each| (each.id.0, each.claim_no.0))
        .unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(UNCOUNT).bind(ids).bind(claims).execute(conn).await.map(drop)
}
