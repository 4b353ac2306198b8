//! Webhooks: each write raises `webhooks_version`, which intake commits are conditional on.

use std::collections::BTreeSet;
use std::sync::Arc;

use postrider_domain::{LaneId, Webhook, WebhookId, WebhookState, WebhookUuid};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use super::fault::Fault;
use super::lanes::{lane_named, specs_json, sync_lanes};
use super::rows::json;
use super::writer::Turn;
use super::{Lite, clock};
use crate::codec::{LimitColumns, open_webhook, seal_webhook, webhook_state, webhook_uuid};
use crate::{LaneSpec, MasterKey, Put, StoreError, StoredWebhook, WebhookTable, WebhookWrite};

/// A webhook with its lane, from `w` and `l`.
macro_rules! select_webhooks {
    ($rest:literal) => {
        concat!(
            "SELECT w.id, w.uuid, w.rev, w.state, w.lane_id, l.name AS lane, l.limited,
                    w.secret_names, w.document, w.created_at, w.updated_at
             FROM webhooks w JOIN lanes l ON l.id = w.lane_id ",
            $rest
        )
    };
}
pub(super) use select_webhooks;

impl Lite {
    pub(crate) async fn webhook_table(
        &self,
        known: Option<i64>,
    ) -> Result<Option<WebhookTable>, StoreError> {
        let mut conn = self.reader().await?;
        Ok(table(&mut conn, known, &self.0.master_key).await?)
    }

    pub(crate) async fn webhook(
        &self,
        uuid: &WebhookUuid,
    ) -> Result<Option<StoredWebhook>, StoreError> {
        let mut conn = self.reader().await?;
        let row = sqlx::query(select_webhooks!("WHERE w.uuid = ?1 AND w.state <> 'deleted'"))
            .bind(uuid.as_str())
            .fetch_optional(&mut *conn)
            .await
            .map_err(Fault::Sql)?;
        Ok(row.map(|row| stored(&row, &self.0.master_key)).transpose()?)
    }

    pub(crate) async fn webhooks_by_id(
        &self,
        ids: &[WebhookId],
    ) -> Result<Vec<StoredWebhook>, StoreError> {
        let mut conn = self.reader().await?;
        let ids = json(ids)?;
        let rows = sqlx::query(select_webhooks!(
            "WHERE w.id IN (SELECT value FROM json_each(?1)) ORDER BY w.id"
        ))
        .bind(ids)
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        let read = |row| stored(row, &self.0.master_key);
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn put_webhook(&self, write: &WebhookWrite) -> Result<Put, StoreError> {
        let new = New::of(write, &self.0.master_key)?;
        self.write(new, |new, turn| Box::pin(put(new, turn))).await
    }

    pub(crate) async fn delete_webhook(&self, uuid: &WebhookUuid) -> Result<bool, StoreError> {
        self.write(uuid.clone(), |uuid, turn| Box::pin(delete(uuid, turn))).await
    }
}

/// Reads a row of `select_webhooks!`.
pub(super) fn stored(row: &SqliteRow, key: &MasterKey) -> Result<StoredWebhook, Fault> {
    let names: String = row.try_get("secret_names")?;
    let document: String = row.try_get("document")?;
    let uuid = webhook_uuid(row.try_get("uuid")?)?;
    let created_at = clock::timestamp(row.try_get("created_at")?)?;
    let updated_at = clock::timestamp(row.try_get("updated_at")?)?;
    Ok(StoredWebhook {
        id: WebhookId(row.try_get("id")?),
        rev: row.try_get("rev")?,
        state: webhook_state(row.try_get("state")?)?,
        lane_id: LaneId(row.try_get("lane_id")?),
        lane: row.try_get("lane")?,
        lane_limited: row.try_get("limited")?,
        secret_names: serde_json::from_str::<BTreeSet<String>>(&names)?,
        webhook: open_webhook(&document, uuid, created_at, updated_at, key)?,
    })
}

/// Version and rows of one snapshot.
async fn table(
    conn: &mut SqliteConnection,
    known: Option<i64>,
    key: &MasterKey,
) -> Result<Option<WebhookTable>, Fault> {
    let mut snapshot = conn.begin().await?;
    let version: i64 =
        sqlx::query_scalar("SELECT webhooks_version FROM meta").fetch_one(&mut *snapshot).await?;
    if known == Some(version) {
        return Ok(None);
    }
    let rows = sqlx::query(select_webhooks!("WHERE w.state <> 'deleted' ORDER BY w.id"))
        .fetch_all(&mut *snapshot)
        .await?;
    let webhooks =
        rows.iter().map(|row| stored(row, key).map(Arc::new)).collect::<Result<_, _>>()?;
    Ok(Some(WebhookTable { version, webhooks }))
}

/// A webhook to write, as its columns.
pub(super) struct New {
    write: WebhookWrite,
    document: String,
    names: String,
}

impl New {
    pub(super) fn of(write: &WebhookWrite, key: &MasterKey) -> Result<Self, StoreError> {
        Ok(Self {
            write: write.clone(),
            document: seal_webhook(&write.webhook, key)?,
            names: json(&write.secret_names)?,
        })
    }

    fn state(&self) -> WebhookState {
        if self.write.webhook.enabled { WebhookState::Enabled } else { WebhookState::Disabled }
    }
}

async fn put(new: &New, turn: &mut Turn) -> Result<Put, Fault> {
    let lane = lane_for(&new.write.lane, turn).await?;
    let replaced = replace(new, lane.id, turn).await?;
    let (row, created) = match replaced {
        Some(row) => (row, false),
        None => (insert(new, new.state(), lane.id, turn).await?, true),
    };
    raise_version(turn).await?;
    let stored = StoredWebhook {
        id: WebhookId(row.try_get("id")?),
        rev: row.try_get("rev")?,
        state: new.state(),
        lane_id: LaneId(lane.id),
        lane: new.write.lane.name.clone(),
        lane_limited: lane.limited,
        secret_names: new.write.secret_names.clone(),
        webhook: Webhook {
            created_at: clock::timestamp(row.try_get("created_at")?)?,
            updated_at: clock::timestamp(row.try_get("updated_at")?)?,
            ..new.write.webhook.clone()
        },
    };
    Ok(if created { Put::Created(stored) } else { Put::Replaced(stored) })
}

/// A lane's row number and kind.
struct LaneKey {
    id: i64,
    limited: bool,
}

/// The webhook's lane, made when missing, else brought to the limits that settings say (L10).
async fn lane_for(spec: &LaneSpec, turn: &mut Turn) -> Result<LaneKey, Fault> {
    let limited = LimitColumns::from(spec.limits).limited;
    let id = match lane_named(&spec.name, turn).await? {
        Some(id) => {
            sync_lanes(&specs_json(std::slice::from_ref(spec))?, turn).await?;
            id
        }
        None => make_lane(spec, turn).await?,
    };
    Ok(LaneKey { id, limited })
}

async fn make_lane(spec: &LaneSpec, turn: &mut Turn) -> Result<i64, Fault> {
    let columns = LimitColumns::from(spec.limits);
    Ok(sqlx::query_scalar(
        "INSERT INTO lanes (name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
    )
    .bind(&spec.name)
    .bind(columns.limited)
    .bind(columns.rate_count)
    .bind(columns.rate_per_ms)
    .bind(columns.burst)
    .bind(columns.concurrency)
    .bind(columns.per_hour)
    .fetch_one(&mut turn.conn)
    .await?)
}

/// A webhook that moves or is switched off may leave deliveries behind (REHOME, DISCARD).
async fn replace(new: &New, lane: i64, turn: &mut Turn) -> Result<Option<SqliteRow>, Fault> {
    Ok(sqlx::query(
        "UPDATE webhooks
         SET rev = rev + 1, state = ?2, lane_id = ?3, secret_names = ?4, document = ?5,
             needs_sweep = needs_sweep OR lane_id <> ?3 OR ?2 <> 'enabled', updated_at = ?6
         WHERE uuid = ?1 AND state <> 'deleted'
         RETURNING id, rev, created_at, updated_at",
    )
    .bind(new.write.webhook.uuid.as_str())
    .bind(new.state().as_str())
    .bind(lane)
    .bind(&new.names)
    .bind(&new.document)
    .bind(turn.now)
    .fetch_optional(&mut turn.conn)
    .await?)
}

/// A webhook that is only executed: its lane, made when missing, else left as it is, and its
/// row, written as deleted, so that nothing lists or matches it.
pub(super) async fn insert_unsaved(new: &New, turn: &mut Turn) -> Result<i64, Fault> {
    let spec = &new.write.lane;
    let lane = match lane_named(&spec.name, turn).await? {
        Some(lane) => lane,
        None => make_lane(spec, turn).await?,
    };
    Ok(insert(new, WebhookState::Deleted, lane, turn).await?.try_get("id")?)
}

async fn insert(
    new: &New,
    state: WebhookState,
    lane: i64,
    turn: &mut Turn,
) -> Result<SqliteRow, Fault> {
    Ok(sqlx::query(
        "INSERT INTO webhooks
             (uuid, rev, state, lane_id, secret_names, document, created_at, updated_at)
         VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?6)
         RETURNING id, rev, created_at, updated_at",
    )
    .bind(new.write.webhook.uuid.as_str())
    .bind(state.as_str())
    .bind(lane)
    .bind(&new.names)
    .bind(&new.document)
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?)
}

async fn delete(uuid: &WebhookUuid, turn: &mut Turn) -> Result<bool, Fault> {
    let deleted = sqlx::query(
        "UPDATE webhooks SET state = 'deleted', rev = rev + 1, needs_sweep = 1, updated_at = ?2
         WHERE uuid = ?1 AND state <> 'deleted'",
    )
    .bind(uuid.as_str())
    .bind(turn.now)
    .execute(&mut turn.conn)
    .await?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    raise_version(turn).await?;
    Ok(true)
}

/// `VERSION_IN_COMMIT`: what was matched before this must be matched again.
pub(super) async fn raise_version(turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query("UPDATE meta SET webhooks_version = webhooks_version + 1")
        .execute(&mut turn.conn)
        .await?;
    Ok(())
}
