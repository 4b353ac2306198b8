//! Webhooks. Every write raises `webhooks_version` first, which also makes writers take turns.

use std::sync::Arc;

use postrider_domain::{LaneId, WebhookId, WebhookState, WebhookUuid};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Transaction};

use super::Pg;
use super::lane_limits::{self, BUMP, Changed};
use super::rows::{at, fault, get};
use crate::codec::{self, LimitColumns};
use crate::{LaneSpec, Put, StoreError, StoredWebhook, WebhookTable, WebhookWrite};

const VERSION: &str = "select webhooks_version from meta";

/// Version and webhooks of one snapshot; one row without a webhook when there are none.
const TABLE: &str = "
select m.webhooks_version, w.id, w.uuid, w.rev, w.state, w.lane_id, w.document, w.secret_names,
    w.created_at, w.updated_at, l.name as lane, l.limited
from meta m
left join (webhooks w join lanes l on l.id = w.lane_id) on w.state <> 'deleted'
order by w.id";

const BY_UUID: &str = "
select w.id, w.uuid, w.rev, w.state, w.lane_id, w.document, w.secret_names, w.created_at,
    w.updated_at, l.name as lane, l.limited
from webhooks w join lanes l on l.id = w.lane_id
where w.uuid = $1 and w.state <> 'deleted'";

const BY_ID: &str = "
select w.id, w.uuid, w.rev, w.state, w.lane_id, w.document, w.secret_names, w.created_at,
    w.updated_at, l.name as lane, l.limited
from webhooks w join lanes l on l.id = w.lane_id
where w.id = any($1) order by w.id";

const MAKE_LANE: &str = "
insert into lanes (name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (name) do nothing";

const LANE_ID: &str = "select id from lanes where name = $1";

/// What waits has to be looked at when the webhook leaves its lane or takes no part any more.
const REPLACE: &str = "
update webhooks set rev = rev + 1, state = $2, lane_id = $3, document = $4, secret_names = $5,
    needs_sweep = needs_sweep or lane_id <> $3 or $2 <> 'enabled', updated_at = now()
where uuid = $1 and state <> 'deleted'";

const CREATE: &str = "
insert into webhooks (uuid, state, lane_id, document, secret_names)
values ($1, $2, $3, $4, $5)";

const INSERT_UNSAVED: &str = "
insert into webhooks (uuid, state, lane_id, document, secret_names)
values ($1, $2, $3, $4, $5) returning id";

const DELETE: &str = "
update webhooks set state = 'deleted', rev = rev + 1, needs_sweep = true, updated_at = now()
where uuid = $1 and state <> 'deleted'";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("webhooks_version", VERSION),
    ("webhook_table", TABLE),
    ("webhook_by_uuid", BY_UUID),
    ("webhooks_by_id", BY_ID),
    ("make_lane", MAKE_LANE),
    ("lane_id", LANE_ID),
    ("replace_webhook", REPLACE),
    ("create_webhook", CREATE),
    ("insert_unsaved_webhook", INSERT_UNSAVED),
    ("delete_webhook", DELETE),
];

type Tx = Transaction<'static, Postgres>;

impl Pg {
    pub(crate) async fn webhook_table(
        &self,
        known: Option<i64>,
    ) -> Result<Option<WebhookTable>, StoreError> {
        let version: i64 =
            sqlx::query_scalar(VERSION).fetch_one(&self.pool).await.map_err(fault)?;
        if known == Some(version) {
            return Ok(None);
        }
        let rows = sqlx::query(TABLE).fetch_all(&self.pool).await.map_err(fault)?;
        let first = rows.first().ok_or_else(|| StoreError::Corrupt("no row in meta".to_owned()))?;
        let mut webhooks = Vec::with_capacity(rows.len());
        for row in &rows {
            if get::<Option<i64>, _>(row, "id")?.is_some() {
                webhooks.push(Arc::new(self.read_webhook(row)?));
            }
        }
        Ok(Some(WebhookTable { version: get(first, "webhooks_version")?, webhooks }))
    }

    pub(crate) async fn webhook(
        &self,
        uuid: &WebhookUuid,
    ) -> Result<Option<StoredWebhook>, StoreError> {
        let row = sqlx::query(BY_UUID).bind(uuid.as_str()).fetch_optional(&self.pool).await;
        row.map_err(fault)?.as_ref().map(|row| self.read_webhook(row)).transpose()
    }

    pub(crate) async fn webhooks_by_id(
        &self,
        ids: &[WebhookId],
    ) -> Result<Vec<StoredWebhook>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query(BY_ID).bind(ids).fetch_all(&self.pool).await.map_err(fault)?;
        rows.iter().map(|row| self.read_webhook(row)).collect()
    }

    pub(crate) async fn put_webhook(&self, write: &WebhookWrite) -> Result<Put, StoreError> {
        let document = codec::seal_webhook(&write.webhook, &self.key)?;
        let mut tx = self.pool.begin().await.map_err(fault)?;
        sqlx::query(BUMP).execute(&mut *tx).await.map_err(fault)?;
        let (lane, changed) = lane_of(&mut tx, &write.lane).await?;
        let replaced = put(&mut tx, write, lane, &document).await?;
        let uuid = write.webhook.uuid.as_str();
        let row = sqlx::query(BY_UUID).bind(uuid).fetch_one(&mut *tx).await.map_err(fault)?;
        let stored = self.read_webhook(&row)?;
        tx.commit().await.map_err(fault)?;
        if let Changed::ToLimited(lane) = changed {
            self.fresh_due_now(lane).await?;
        }
        Ok(if replaced { Put::Replaced(stored) } else { Put::Created(stored) })
    }

    pub(crate) async fn delete_webhook(&self, uuid: &WebhookUuid) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        sqlx::query(BUMP).execute(&mut *tx).await.map_err(fault)?;
        let deleted =
            sqlx::query(DELETE).bind(uuid.as_str()).execute(&mut *tx).await.map_err(fault)?;
        if deleted.rows_affected() == 0 {
            tx.rollback().await.map_err(fault)?;
            return Ok(false);
        }
        tx.commit().await.map_err(fault)?;
        Ok(true)
    }

    pub(super) fn read_webhook(&self, row: &PgRow) -> Result<StoredWebhook, StoreError> {
        let uuid = codec::webhook_uuid(get(row, "uuid")?)?;
        let (created, updated) = (at(row, "created_at")?, at(row, "updated_at")?);
        let webhook =
            codec::open_webhook(get(row, "document")?, uuid, created, updated, &self.key)?;
        Ok(StoredWebhook {
            id: WebhookId(get(row, "id")?),
            rev: get(row, "rev")?,
            state: codec::webhook_state(get(row, "state")?)?,
            lane_id: LaneId(get(row, "lane_id")?),
            lane: get(row, "lane")?,
            lane_limited: get(row, "limited")?,
            secret_names: get::<Vec<String>, _>(row, "secret_names")?.into_iter().collect(),
            webhook,
        })
    }
}

/// The lane's row number, made when missing, and what its limits changed (L10).
async fn lane_of(tx: &mut Tx, spec: &LaneSpec) -> Result<(i64, Changed), StoreError> {
    let lane = make_lane(tx, spec).await?;
    let changed = if lane.is_new { Changed::Nothing } else { lane_limits::apply(tx, spec).await? };
    Ok((lane.id, changed))
}

/// A lane's row number.
pub(super) struct MadeLane {
    pub(super) id: i64,
    is_new: bool,
}

/// The lane of this name, made when missing, else left as it is.
pub(super) async fn make_lane(tx: &mut Tx, spec: &LaneSpec) -> Result<MadeLane, StoreError> {
    let limits = LimitColumns::from(spec.limits);
    let made = sqlx::query(MAKE_LANE)
        .bind(&spec.name)
        .bind(limits.limited)
        .bind(limits.rate_count)
        .bind(limits.rate_per_ms)
        .bind(limits.burst)
        .bind(limits.concurrency)
        .bind(limits.per_hour)
        .execute(&mut **tx)
        .await
        .map_err(fault)?;
    let id = sqlx::query_scalar(LANE_ID).bind(&spec.name).fetch_one(&mut **tx).await;
    Ok(MadeLane { id: id.map_err(fault)?, is_new: made.rows_affected() > 0 })
}

/// A webhook that is only executed: written as deleted, so that nothing lists or matches it.
pub(super) async fn insert_unsaved(
    tx: &mut Tx,
    write: &WebhookWrite,
    lane: i64,
    document: &str,
) -> Result<i64, StoreError> {
    let secrets: Vec<&str> = write.secret_names.iter().map(String::as_str).collect();
    sqlx::query_scalar(INSERT_UNSAVED)
        .bind(write.webhook.uuid.as_str())
        .bind(WebhookState::Deleted.as_str())
        .bind(lane)
        .bind(document)
        .bind(&secrets)
        .fetch_one(&mut **tx)
        .await
        .map_err(fault)
}

/// Writes the webhook's row; whether it replaced one.
async fn put(
    tx: &mut Tx,
    write: &WebhookWrite,
    lane: i64,
    document: &str,
) -> Result<bool, StoreError> {
    let state = if write.webhook.enabled { WebhookState::Enabled } else { WebhookState::Disabled };
    let secrets: Vec<&str> = write.secret_names.iter().map(String::as_str).collect();
    for statement in [REPLACE, CREATE] {
        let written = sqlx::query(statement)
            .bind(write.webhook.uuid.as_str())
            .bind(state.as_str())
            .bind(lane)
            .bind(document)
            .bind(&secrets)
            .execute(&mut **tx)
            .await
            .map_err(fault)?;
        if written.rows_affected() > 0 {
            return Ok(statement == REPLACE);
        }
    }
    Err(StoreError::Corrupt(format!("webhook {} was not written", write.webhook.uuid)))
}
