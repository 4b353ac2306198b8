//! T1c: deliveries that are claimed by the commit that makes them. What comes of it is what T1 and
//! T3 right after it would come to, for a statement and a commit less.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use postrider_domain::{ClaimNo, LaneId};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::bound::chunks;
use super::clock;
use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use crate::codec::from_millis;
use crate::intake::WantedClaims;
use crate::{Claim, ClaimTerms, NewDelivery, NewEvent};

/// Makes what may be claimed of the rows as claimed at once; these claims.
pub(super) async fn insert_claimed(
    rows: &[(&NewEvent, NewDelivery)],
    wanted: &WantedClaims,
    sweep_after: Duration,
    turn: &mut Turn,
) -> Result<Vec<Claim>, Fault> {
    let is_wanted = |row: &&(&NewEvent, NewDelivery)| wanted.ids.contains(&row.1.id);
    let ids: BTreeSet<i64> =
        rows.iter().filter(is_wanted).map(|(_, delivery)| delivery.webhook_id.0).collect();
    let open = open_webhooks(&ids, turn).await?;
    let mut claims = Vec::new();
    for (event, delivery) in rows.iter().filter(is_wanted) {
        if let Some(webhook) = open.get(&delivery.webhook_id.0)
            && webhook.lane == delivery.lane_id
        {
            claims.push(webhook.first_claim(event, *delivery, wanted.terms, turn.now)?);
        }
    }
    let swept = clock::later(turn.now, sweep_after);
    for chunk in chunks(&claims) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO deliveries (id, event_id, webhook_id, lane_id, status, attempt, claim_no, \
             claimed_by, claimed_until, next_at, created_at, updated_at) ",
        );
        query.push_values(chunk, |mut values, claim| {
            let until = clock::later(turn.now, claim.length);
            values
                .push_bind(claim.id.0)
                .push_bind(claim.event_id.0)
                .push_bind(claim.webhook_id.0)
                .push_bind(claim.lane_id.0)
                .push("'sending', 1, 1")
                .push_bind(wanted.terms.worker.0)
                .push_bind(until)
                .push_bind(until.max(swept))
                .push_bind(turn.now)
                .push_bind(turn.now);
        });
        query.build().execute(&mut turn.conn).await?;
    }
    Ok(claims)
}

/// A webhook that may be claimed for now, with what claims of it say.
struct OpenWebhook {
    rev: i64,
    secrets_rev: i64,
    timeout: Option<Duration>,
    lane: LaneId,
    secret_rev: i64,
}

impl OpenWebhook {
    fn first_claim(
        &self,
        event: &NewEvent,
        delivery: NewDelivery,
        terms: ClaimTerms,
        now: i64,
    ) -> Result<Claim, Fault> {
        let timeout = self.timeout.unwrap_or(terms.timeout);
        Ok(Claim {
            id: delivery.id,
            claim_no: ClaimNo(1),
            attempt: 1,
            number: 1,
            maybe_sent: false,
            lost_claims: 0,
            event_id: event.id,
            event: event.event.text().to_owned(),
            traceparent: event.traceparent.clone(),
            webhook_id: delivery.webhook_id,
            webhook_rev: self.rev,
            lane_id: delivery.lane_id,
            secret_rev: self.secret_rev,
            secrets_rev: self.secrets_rev,
            created_at: clock::timestamp(now)?,
            rejections: 0,
            execution: false,
            timeout,
            length: timeout + terms.margin,
        })
    }
}

/// Those of the webhooks that are OPEN in an unlimited lane (`LANE_JOIN`).
async fn open_webhooks(
    ids: &BTreeSet<i64>,
    turn: &mut Turn,
) -> Result<HashMap<i64, OpenWebhook>, Fault> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "SELECT w.id, w.rev, w.secrets_rev, w.timeout_ms, w.lane_id, l.secret_rev
         FROM json_each(?1) n
         CROSS JOIN webhooks w ON w.id = n.value
         CROSS JOIN lanes l ON l.id = w.lane_id
         CROSS JOIN limits m ON m.id = l.limit_id
         WHERE w.state = 'enabled' AND w.hold_cause IS NULL AND l.hold_cause IS NULL
           AND NOT l.limited AND coalesce(m.pause_until, 0) <= ?2",
    )
    .bind(json(ids)?)
    .bind(turn.now)
    .fetch_all(&mut turn.conn)
    .await?;
    let open = |row: &SqliteRow| {
        let timeout: Option<i64> = row.try_get("timeout_ms")?;
        let webhook = OpenWebhook {
            rev: row.try_get("rev")?,
            secrets_rev: row.try_get("secrets_rev")?,
            timeout: timeout.map(from_millis),
            lane: LaneId(row.try_get("lane_id")?),
            secret_rev: row.try_get("secret_rev")?,
        };
        Ok((row.try_get("id")?, webhook))
    };
    rows.iter().map(open).collect()
}
