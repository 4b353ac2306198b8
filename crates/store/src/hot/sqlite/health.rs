//! Streaks of webhooks: failures since the last success, kept as outcomes are recorded.

use serde::Serialize;

use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use crate::{Recorded, record};

/// While nothing fails, `last_success_at` is kept no finer than this, to spare writes.
const SUCCESS_GRAIN: i64 = 10_000_000;

/// What a batch says of one webhook, as the statement reads it.
#[derive(Debug, Serialize)]
struct Streak {
    webhook_id: i64,
    succeeded: bool,
    failures: u32,
    deliveries: u32,
    outcome: &'static str,
    status_code: Option<u16>,
}

/// Adds a batch's attempts to the streaks: those that were in time, so that none counts twice.
pub(super) async fn record(in_time: &[&Recorded], turn: &mut Turn) -> Result<(), Fault> {
    let streaks = record::streaks(in_time.iter().copied());
    if streaks.is_empty() {
        return Ok(());
    }
    let streaks: Vec<_> = streaks
        .into_iter()
        .map(|(webhook, (news, last))| Streak {
            webhook_id: webhook.0,
            succeeded: news.succeeded,
            failures: news.failures,
            deliveries: news.deliveries,
            outcome: last.outcome.as_str(),
            status_code: last.status_code,
        })
        .collect();
    store(&json(&streaks)?, turn).await
}

async fn store(streaks: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO webhook_health
             (webhook_id, failures, failing_deliveries, failing_since, last_outcome,
              last_status_code, last_success_at)
         SELECT value ->> 'webhook_id', value ->> 'failures', value ->> 'deliveries',
                CASE WHEN value ->> 'failures' > 0 THEN ?2 END, value ->> 'outcome',
                value ->> 'status_code', CASE WHEN value ->> 'succeeded' THEN ?2 END
         FROM json_each(?1) WHERE true
         ON CONFLICT (webhook_id) DO UPDATE
         SET failures = excluded.failures
                 + CASE WHEN excluded.last_success_at IS NULL THEN failures ELSE 0 END,
             failing_deliveries = excluded.failing_deliveries
                 + CASE WHEN excluded.last_success_at IS NULL THEN failing_deliveries ELSE 0 END,
             failing_since = CASE WHEN excluded.last_success_at IS NULL
                                  THEN coalesce(failing_since, excluded.failing_since)
                                  ELSE excluded.failing_since END,
             last_outcome = excluded.last_outcome,
             last_status_code = excluded.last_status_code,
             last_success_at = coalesce(excluded.last_success_at, last_success_at)
         WHERE excluded.failures > 0
            OR (excluded.last_success_at IS NOT NULL
                AND (webhook_health.failures > 0
                     OR coalesce(webhook_health.last_success_at, 0)
                        < excluded.last_success_at - ?3))",
    )
    .bind(streaks)
    .bind(turn.now)
    .bind(SUCCESS_GRAIN)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}
