//! Streaks of webhooks, as a batch that was recorded changes them.

use sqlx::PgConnection;

use crate::{Recorded, record};

/// While nothing fails, `last_success_at` is kept no finer than ten seconds, to spare writes.
pub(super) const WRITE: &str = "
insert into webhook_health as h (webhook_id, failures, failing_deliveries, failing_since,
    last_outcome, last_status_code, last_success_at)
select n.webhook_id, n.failures, n.deliveries, case when n.failures > 0 then now() end, n.outcome,
    n.status_code, case when n.succeeded then now() end
from unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::text[], $5::integer[], $6::bigint[])
    as n (webhook_id, failures, succeeded, outcome, status_code, deliveries)
where n.failures > 0 or not coalesce((
    select h.failures = 0 and h.last_success_at >= now() - interval '10 seconds'
    from webhook_health h where h.webhook_id = n.webhook_id), false)
on conflict (webhook_id) do update set
    failures = excluded.failures
        + case when excluded.last_success_at is null then h.failures else 0 end,
    failing_deliveries = excluded.failing_deliveries
        + case when excluded.last_success_at is null then h.failing_deliveries else 0 end,
    failing_since = case
        when excluded.last_success_at is null and h.failures > 0 then h.failing_since
        else excluded.failing_since end,
    last_outcome = excluded.last_outcome, last_status_code = excluded.last_status_code,
    last_success_at = coalesce(excluded.last_success_at, h.last_success_at)";

/// Those that were in time, so that no outcome counts twice; webhooks in id order.
pub(super) async fn record(
    conn: &mut PgConnection,
    in_time: &[&Recorded],
) -> Result<(), sqlx::Error> {
    let streaks = record::streaks(in_time.iter().copied());
    if streaks.is_empty() {
        return Ok(());
    }
    let (mut webhooks, mut failures, mut succeeded) = (Vec::new(), Vec::new(), Vec::new());
    let (mut outcomes, mut codes, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
    for (webhook, (news, last)) in streaks {
        webhooks.push(webhook.0);
        failures.push(i64::from(news.failures));
        succeeded.push(news.succeeded);
        outcomes.push(last.outcome.as_str());
        codes.push(last.status_code.map(i32::from));
        deliveries.push(i64::from(news.deliveries));
    }
    sqlx::query(WRITE)
        .bind(webhooks)
        .bind(failures)
        .bind(succeeded)
        .bind(outcomes)
        .bind(codes)
        .bind(deliveries)
        .execute(conn)
        .await
        .map(drop)
}
