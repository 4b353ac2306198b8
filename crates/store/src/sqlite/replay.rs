//! T12: final deliveries wait again.

use std::collections::{BTreeMap, HashSet};

use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::Lite;
use super::fault::Fault;
use super::list::{FROM, filtered};
use super::rows::json;
use super::writer::Turn;
use crate::{DeliveryFilter, ReplayPlan, StoreError};

/// Deliveries of one replay at most.
const MOST: u64 = 100_000;
/// Deliveries looked at, and changed, in one turn.
const CHUNK: u32 = 1_000;

impl Lite {
    pub(crate) async fn replay(
        &self,
        filter: &DeliveryFilter,
        forget_marks: bool,
        act: bool,
    ) -> Result<ReplayPlan, StoreError> {
        let mut tally = Tally::default();
        let mut last = None;
        loop {
            let mut conn = self.reader().await?;
            let found = candidates(&mut conn, filter, last).await?;
            drop(conn);
            let Some(end) = found.last() else { break };
            last = Some(end.id);
            let short = u32::try_from(found.len()).is_ok_and(|found| found < CHUNK);
            let chosen = tally.choose(found);
            let changed = if act { self.replay_chunk(&chosen, forget_marks).await? } else { None };
            tally.count(chosen, changed.as_ref());
            if short || tally.replayed >= MOST {
                break;
            }
        }
        Ok(tally.plan())
    }

    async fn replay_chunk(
        &self,
        chosen: &[Candidate],
        forget_marks: bool,
    ) -> Result<Option<HashSet<Uuid>>, StoreError> {
        if chosen.is_empty() {
            return Ok(Some(HashSet::new()));
        }
        let ids: Vec<_> = chosen.iter().map(|found| found.id).collect();
        let args = (json(&ids)?, forget_marks);
        let changed = self
            .write(args, |(ids, forget), turn| Box::pin(wait_again(ids, *forget, turn)))
            .await?;
        Ok(Some(changed))
    }
}

/// A delivery that the filter names.
struct Candidate {
    id: Uuid,
    is_final: bool,
    enabled: bool,
    /// The lane of its webhook, where it will wait.
    lane: String,
}

/// The plan as it grows.
#[derive(Default)]
struct Tally {
    by_lane: BTreeMap<String, u64>,
    open: u64,
    without_webhook: u64,
    replayed: u64,
}

impl Tally {
    /// Those to replay; the others are counted and left alone.
    fn choose(&mut self, found: Vec<Candidate>) -> Vec<Candidate> {
        let mut chosen = Vec::new();
        for candidate in found {
            if !candidate.is_final {
                self.open += 1;
            } else if !candidate.enabled {
                self.without_webhook += 1;
            } else if self.replayed + u64::try_from(chosen.len()).unwrap_or(MOST) < MOST {
                chosen.push(candidate);
            }
        }
        chosen
    }

    /// `changed` is `None` when nothing was to be changed.
    fn count(&mut self, chosen: Vec<Candidate>, changed: Option<&HashSet<Uuid>>) {
        for candidate in chosen {
            if changed.is_none_or(|changed| changed.contains(&candidate.id)) {
                *self.by_lane.entry(candidate.lane).or_default() += 1;
                self.replayed += 1;
            }
        }
    }

    fn plan(self) -> ReplayPlan {
        ReplayPlan {
            by_lane: self.by_lane.into_iter().collect(),
            open: self.open,
            without_webhook: self.without_webhook,
        }
    }
}

/// The next deliveries of the filter, oldest first.
async fn candidates(
    conn: &mut SqliteConnection,
    filter: &DeliveryFilter,
    last: Option<Uuid>,
) -> Result<Vec<Candidate>, Fault> {
    let mut query = QueryBuilder::new(
        "SELECT d.id, d.next_at IS NULL AS is_final, w.state = 'enabled' AS enabled, \
         (SELECT name FROM lanes WHERE id = w.lane_id) AS home ",
    );
    query.push(FROM).push(" AND d.execution_until IS NULL");
    filtered(&mut query, filter)?;
    if let Some(last) = last {
        query.push(" AND d.id > ").push_bind(last);
    }
    query.push(" ORDER BY d.id LIMIT ").push_bind(CHUNK);
    let rows = query.build().fetch_all(conn).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Candidate {
            id: row.try_get("id")?,
            is_final: row.try_get("is_final")?,
            enabled: row.try_get("enabled")?,
            lane: row.try_get("home")?,
        })
    };
    rows.iter().map(read).collect()
}

/// T12. The delivery goes to its webhook's lane, because the janitor sweeps a webhook only for
/// a while after a change.
async fn wait_again(ids: &str, forget: bool, turn: &mut Turn) -> Result<HashSet<Uuid>, Fault> {
    let changed: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE deliveries
         SET status = 'waiting', attempt = 0, lost_claims = 0, refusals = 0, next_at = ?2,
             maybe_sent = CASE WHEN ?3 THEN 0 ELSE maybe_sent END, lane_id = w.lane_id,
             held_base = coalesce((SELECT held_total FROM lanes WHERE id = w.lane_id), 0),
             updated_at = ?2
         FROM webhooks w
         WHERE deliveries.id IN (SELECT unhex(value, '-') FROM json_each(?1))
           AND deliveries.status IN ('delivered', 'failed', 'discarded')
           AND w.id = deliveries.webhook_id AND w.state = 'enabled'
         RETURNING id",
    )
    .bind(ids)
    .bind(turn.now)
    .bind(forget)
    .fetch_all(&mut turn.conn)
    .await?;
    Ok(changed.into_iter().collect())
}
