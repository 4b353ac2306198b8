//! Documents of webhooks that were superseded.

use std::collections::BTreeSet;

use postrider_domain::{RequestTemplate, WebhookId};

use super::Tx;
use super::query::Query;
use crate::fault::Fault;
use crate::revisions::{Documents, needed_since, superseded};
use crate::{MasterKey, Store, StoreError, WebhookWrite, codec};

/// The document in force, and the one that was at this revision if it has been superseded.
const AT: &str = "
select w.uuid, w.document, (
    select r.document from webhook_revisions r
    where r.webhook_id = w.id and r.until_rev >= $2 order by r.until_rev limit 1) as superseded
from webhooks w where w.id = $1";

const IN_FORCE: &str = "
select id, rev, document, secret_names, created_at, updated_at from webhooks
where uuid = $1 and state <> 'deleted' {lock}";

const KEEP: &str = "
insert into webhook_revisions (webhook_id, until_rev, document, superseded_at)
values ($1, $2, $3, {now}) on conflict (webhook_id, until_rev) do nothing";

const OLDEST_ATTEMPT: &str = "
select {now} as now, (
    select delivery_id from attempts order by delivery_id limit 1) as oldest";

const PRUNE: &str = "delete from webhook_revisions where superseded_at < $1";

impl Store {
    /// A webhook's request as it was at a revision, credentials written into it starred; `None`
    /// when it is not kept any more.
    pub async fn request_at(
        &self,
        webhook: WebhookId,
        rev: i64,
    ) -> Result<Option<RequestTemplate>, StoreError> {
        let at = Query::new(AT).bind(webhook).bind(rev);
        let Some(row) = self.row("request_at", &at).await? else {
            return Ok(None);
        };
        let documents = Documents {
            uuid: row.string("uuid")?,
            in_force: row.string("document")?,
            superseded: row.string_opt("superseded")?,
        };
        documents.request(self.key()).map(Some)
    }

    /// What no attempt that is kept can have used goes.
    pub(super) async fn prune_revisions(&self) -> Result<(), StoreError> {
        let row = self.row("oldest_attempt", &Query::new(OLDEST_ATTEMPT)).await?;
        let Some(row) = row else { return Ok(()) };
        let since = needed_since(row.uuid_opt("oldest")?, row.at("now")?);
        self.run("prune_revisions", Query::new(PRUNE).bind(since)).await.map(drop)
    }
}

/// Keeps the document that this one replaces, if there is one and its request differs. Whether
/// another request is sent from now on: that, or one with other secrets.
pub(super) async fn keep_superseded(
    tx: &mut Tx<'_>,
    write: &WebhookWrite,
    key: &MasterKey,
) -> Result<bool, Fault> {
    let new = &write.webhook;
    let Some(row) = tx.row(&Query::new(IN_FORCE).bind(new.uuid.as_str())).await? else {
        return Ok(false);
    };
    let (created, updated) = (row.at("created_at")?, row.at("updated_at")?);
    let uuid = new.uuid.clone();
    let old = codec::open_webhook(row.text("document")?, uuid, created, updated, key)?;
    let names: BTreeSet<String> = row.texts("secret_names")?.into_iter().collect();
    let has_other_secrets = names != write.secret_names || old.team_uuid != new.team_uuid;
    let Some(text) = superseded(&old, new)? else { return Ok(has_other_secrets) };
    let keep = Query::new(KEEP).bind(row.int("id")?).bind(row.int("rev")?).bind(text);
    tx.run(&keep).await?;
    Ok(true)
}
