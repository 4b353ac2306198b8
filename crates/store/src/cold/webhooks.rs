//! Webhooks. Every write raises `webhooks_version` first, which also makes writers take turns.

use std::sync::Arc;

use postrider_domain::{AuditAction, AuditKind, LaneId, WebhookId, WebhookState, WebhookUuid};

use super::audit::Change;
use super::query::Query;
use super::row::Row;
use super::webhooks_version::raise_version;
use super::{Tx, limits, revisions};
use crate::fault::Fault;
use crate::{
    LaneSpec, MasterKey, Put, Store, StoreError, StoredWebhook, WebhookTable, WebhookWrite, codec,
};

/// What a webhook `w` is read from.
macro_rules! columns {
    () => {
        "w.id, w.uuid, w.rev, w.state, w.lane_id, w.document, w.secret_names, w.created_at, \
         w.updated_at, l.name as lane, l.limited"
    };
}
pub(crate) use columns;

/// Version and webhooks of one snapshot; one row without a webhook when there are none.
const TABLE: &str = concat!(
    "select m.webhooks_version, ",
    columns!(),
    " from meta m
     left join (webhooks w join lanes l on l.id = w.lane_id) on w.state <> 'deleted'
     order by w.id"
);

const BY_UUID: &str = concat!(
    "select ",
    columns!(),
    " from webhooks w join lanes l on l.id = w.lane_id where w.uuid = $1 and w.state <> 'deleted'"
);

/// Deliveries wait for it: for any values there is one way to run it.
pub(crate) const BY_ID: &str = "
select w.id, w.uuid, w.rev, w.state, w.lane_id, w.document, w.secret_names, w.created_at,
    w.updated_at, (select l.name from lanes l where l.id = w.lane_id) as lane,
    (select l.limited from lanes l where l.id = w.lane_id) as limited
from webhooks w where w.id {in:$1} order by w.id";

/// Lane `$1` with the limit of name `$2`.
const MAKE_LANE: &str = "
insert into lanes (name, limit_id, limited)
select $1, m.id, m.limited from limits m where m.name = $2
on conflict (name) do nothing";

/// What waits has to be looked at when the webhook leaves its lane or takes no part any more
/// (REASSIGN, DISCARD).
const REPLACE: &str = "
update webhooks set rev = rev + 1, state = $2, lane_id = $3, document = $4, secret_names = $5,
    needs_sweep = needs_sweep or lane_id <> $3 or $2 <> 'enabled', timeout_ms = $6,
    updated_at = {now}
where uuid = $1 and state <> 'deleted'";

/// W5: what was refused was another request, or one with other secrets.
const OTHER_REQUEST: &str = "
update webhooks set secrets_rev = secrets_rev + 1, hold_cause = null, held_since = null,
    next_probe_at = null, probe_step = 0, probe_newest = null, probe_last = null
where uuid = $1 and state <> 'deleted' and (lane_id <> $2 or $3)";

const CREATE: &str = "
insert into webhooks
    (uuid, rev, state, lane_id, document, secret_names, timeout_ms, created_at, updated_at)
values ($1, 1, $2, $3, $4, $5, $6, {now}, {now}) returning id";

const DELETE: &str = "
update webhooks set state = 'deleted', rev = rev + 1, needs_sweep = true, updated_at = {now}
where uuid = $1 and state <> 'deleted'";

impl Store {
    /// The table, or `None` when it is still at `known`.
    pub async fn webhook_table(
        &self,
        known: Option<i64>,
    ) -> Result<Option<WebhookTable>, StoreError> {
        let version = Query::new("select webhooks_version from meta");
        let no_row = || StoreError::Corrupt("no row in meta".to_owned());
        let rows = self.served("webhooks_version", &version).await?;
        if known == Some(rows.first().ok_or_else(no_row)?.int("webhooks_version")?) {
            return Ok(None);
        }
        let rows = self.served("webhook_table", &Query::new(TABLE)).await?;
        let version = rows.first().ok_or_else(no_row)?.int("webhooks_version")?;
        let mut webhooks = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.int_opt("id")?.is_some() {
                webhooks.push(Arc::new(stored(row, self.key())?));
            }
        }
        Ok(Some(WebhookTable { version, webhooks }))
    }

    /// One webhook; deleted ones are not found.
    pub async fn webhook(&self, uuid: &WebhookUuid) -> Result<Option<StoredWebhook>, StoreError> {
        let row = self.row("webhook", &Query::new(BY_UUID).bind(uuid.as_str())).await?;
        Ok(row.map(|row| stored(&row, self.key())).transpose()?)
    }

    /// Webhooks by row number, deleted ones included.
    pub async fn webhooks_by_id(
        &self,
        ids: &[WebhookId],
    ) -> Result<Vec<StoredWebhook>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows = self.served("webhooks_by_id", &Query::new(BY_ID).bind(ids)).await?;
        Ok(rows.iter().map(|row| stored(row, self.key())).collect::<Result<_, _>>()?)
    }

    /// Creates or replaces. What waits for it follows to its new lane (J3); another request ends
    /// its park (W5).
    pub async fn put_webhook(&self, write: &WebhookWrite) -> Result<Put, StoreError> {
        let new = New::of(write, self.key())?;
        let put = self.change_noted("put_webhook", new, |new, tx| {
            Box::pin(async move {
                let (put, limited) = put(new, tx).await?;
                let written = noted(&put);
                Ok(((put, limited), vec![written]))
            })
        });
        let (put, limited) = put.await?;
        self.fresh_due_now(&limited).await?;
        Ok(put)
    }

    /// Deletes softly; `false` when there is none. What waits for it is discarded (J4).
    pub async fn delete_webhook(&self, uuid: &WebhookUuid) -> Result<bool, StoreError> {
        self.change_noted("delete_webhook", uuid.clone(), |uuid, mut tx| {
            Box::pin(async move {
                if tx.row(&Query::new(BY_UUID).bind(uuid.as_str())).await?.is_none() {
                    return Ok((false, Vec::new()));
                }
                raise_version(&mut tx).await?;
                let is_gone = tx.run(&Query::new(DELETE).bind(uuid.as_str())).await? > 0;
                let deleted = Change::new(AuditKind::Webhook, uuid.as_str(), AuditAction::Deleted);
                Ok((is_gone, if is_gone { vec![deleted] } else { Vec::new() }))
            })
        })
        .await
    }
}

/// What the audit log says of a webhook that was written.
fn noted(put: &Put) -> Change {
    let (stored, action) = match put {
        Put::Created(stored) => (stored, AuditAction::Created),
        Put::Replaced(stored) => (stored, AuditAction::Changed),
    };
    let (webhook, lane) = (&stored.webhook, &stored.lane);
    let detail = format!("{}, lane {lane}, revision {}", stored.state.as_str(), stored.rev);
    let name = webhook.description.as_deref().map(|name| format!("; {name}")).unwrap_or_default();
    Change::new(AuditKind::Webhook, webhook.uuid.as_str(), action).saying(detail + &name)
}

/// Reads a row that has the columns of a webhook.
pub(crate) fn stored(row: &Row, key: &MasterKey) -> Result<StoredWebhook, Fault> {
    let uuid = codec::webhook_uuid(row.text("uuid")?)?;
    let (created, updated) = (row.at("created_at")?, row.at("updated_at")?);
    Ok(StoredWebhook {
        id: WebhookId(row.int("id")?),
        rev: row.int("rev")?,
        state: codec::webhook_state(row.text("state")?)?,
        lane_id: LaneId(row.int("lane_id")?),
        lane: row.string("lane")?,
        lane_limited: row.is("limited")?,
        secret_names: row.texts("secret_names")?.into_iter().collect(),
        webhook: codec::open_webhook(row.text("document")?, uuid, created, updated, key)?,
    })
}

/// A webhook to write, as its columns.
pub(crate) struct New {
    write: WebhookWrite,
    document: String,
    key: MasterKey,
}

impl New {
    pub(crate) fn of(write: &WebhookWrite, key: &MasterKey) -> Result<Self, StoreError> {
        let document = codec::seal_webhook(&write.webhook, key)?;
        Ok(Self { write: write.clone(), document, key: key.clone() })
    }

    fn bound(&self, statement: &'static str, state: WebhookState, lane: LaneId) -> Query {
        Query::new(statement)
            .bind(self.write.webhook.uuid.as_str())
            .bind(state.as_str())
            .bind(lane.0)
            .bind(&self.document)
            .bind(self.write.secret_names.iter().cloned().collect::<Vec<_>>())
            .bind(self.write.timeout_millis())
    }
}

/// The webhook as it is now, and lanes that have become limited.
async fn put(new: &New, mut tx: Tx<'_>) -> Result<(Put, Vec<LaneId>), Fault> {
    let (webhook, spec) = (&new.write.webhook, &new.write.lane);
    raise_version(&mut tx).await?;
    let is_other = revisions::keep_superseded(&mut tx, &new.write, &new.key).await?;
    let lane = make_lane(&mut tx, spec).await?;
    let applied = limits::apply(&mut tx, std::slice::from_ref(spec)).await?;
    let state = if webhook.enabled { WebhookState::Enabled } else { WebhookState::Disabled };
    let other = Query::new(OTHER_REQUEST).bind(webhook.uuid.as_str()).bind(lane.0).bind(is_other);
    tx.run(&other).await?;
    let is_replaced = tx.run(&new.bound(REPLACE, state, lane)).await? > 0;
    if !is_replaced {
        tx.one(&new.bound(CREATE, state, lane)).await?;
    }
    let row = tx.one(&Query::new(BY_UUID).bind(webhook.uuid.as_str())).await?;
    let stored = stored(&row, &new.key)?;
    let put = if is_replaced { Put::Replaced(stored) } else { Put::Created(stored) };
    Ok((put, applied.limited))
}

/// The lane of this name, made with its limit when missing, else left as it is.
pub(crate) async fn make_lane(tx: &mut Tx<'_>, spec: &LaneSpec) -> Result<LaneId, Fault> {
    limits::make(tx, spec).await?;
    tx.run(&Query::new(MAKE_LANE).bind(&spec.name).bind(&spec.limit)).await?;
    let lane = Query::new("select id from lanes where name = $1").bind(&spec.name);
    Ok(LaneId(tx.one(&lane).await?.int("id")?))
}

/// A webhook that is only tested: written as deleted, so that nothing lists or matches it.
pub(crate) async fn insert_unsaved(
    tx: &mut Tx<'_>,
    new: &New,
    lane: LaneId,
) -> Result<WebhookId, Fault> {
    let row = tx.one(&new.bound(CREATE, WebhookState::Deleted, lane)).await?;
    Ok(WebhookId(row.int("id")?))
}
