//! Streaks of webhooks: failures since the last success, kept as outcomes are recorded.

use std::collections::BTreeMap;

use postrider_domain::{Outcome, WebhookId};
use serde::Serialize;

use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use crate::{AttemptRow, Recorded};

/// While nothing fails, `last_success_at` is kept no finer than this, to spare writes.
const SUCCESS_GRAIN: i64 = 10_000_000;

/// What a batch says of one webhook.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Streak {
    webhook_id: i64,
    succeeded: bool,
    /// Failures after the batch's last success.
    failures: u32,
    /// What the newest that counts came to.
    outcome: Option<&'static str>,
    status_code: Option<u16>,
}

impl Streak {
    fn add(&mut self, attempt: &AttemptRow) {
        match attempt.outcome {
            Outcome::Accepted => {
                self.succeeded = true;
                self.failures = 0;
            }
            // A limit is no failure, and a lost claim says nothing of the target.
            Outcome::RateLimited | Outcome::Lost => return,
            Outcome::Credential
            | Outcome::SecretMissing
            | Outcome::ServerError
            | Outcome::Timeout
            | Outcome::ConnectError
            | Outcome::NotFound
            | Outcome::Permission
            | Outcome::Invalid
            | Outcome::Redirected
            | Outcome::Blocked
            | Outcome::RenderError
            | Outcome::Poison
            | Outcome::WebhookDeleted
            | Outcome::WebhookDisabled
            | Outcome::Withdrawn => self.failures += 1,
        }
        self.outcome = Some(attempt.outcome.as_str());
        self.status_code = attempt.status_code;
    }
}

/// Adds a batch's attempts to the streaks.
pub(super) async fn record<'a>(
    batch: impl Iterator<Item = &'a Recorded>,
    turn: &mut Turn,
) -> Result<(), Fault> {
    let mut streaks: BTreeMap<WebhookId, Streak> = BTreeMap::new();
    for item in batch {
        if let Some(attempt) = &item.attempt {
            let streak = streaks.entry(item.webhook_id).or_default();
            streak.webhook_id = item.webhook_id.0;
            streak.add(attempt);
        }
    }
    if streaks.is_empty() {
        return Ok(());
    }
    let streaks: Vec<_> = streaks.into_values().collect();
    store(&json(&streaks)?, turn).await
}

async fn store(streaks: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO webhook_health
             (webhook_id, failures, failing_since, last_outcome, last_status_code, last_success_at)
         SELECT value ->> 'webhook_id', value ->> 'failures',
                CASE WHEN value ->> 'failures' > 0 THEN ?2 END, value ->> 'outcome',
                value ->> 'status_code', CASE WHEN value ->> 'succeeded' THEN ?2 END
         FROM json_each(?1) WHERE true
         ON CONFLICT (webhook_id) DO UPDATE
         SET failures = excluded.failures
                 + CASE WHEN excluded.last_success_at IS NULL THEN failures ELSE 0 END,
             failing_since = CASE WHEN excluded.last_success_at IS NULL
                                  THEN coalesce(failing_since, excluded.failing_since)
                                  ELSE excluded.failing_since END,
             last_outcome = coalesce(excluded.last_outcome, last_outcome),
             last_status_code = CASE WHEN excluded.last_outcome IS NULL THEN last_status_code
                                     ELSE excluded.last_status_code END,
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
