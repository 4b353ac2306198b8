//! The audit log: what is changed on somebody's behalf is written down in the same transaction.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use postrider_domain::{AuditAction, AuditKind};
use uuid::Uuid;

use super::Tx;
use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::{
    AuditCursor, AuditEntry, AuditFilter, AuditPage, Author, Store, StoreError, Total, codec,
};

const INSERT: &str = "
insert into audit (id, at, who, route, kind, object, action, detail)
values ($1, {now}, $2, $3, $4, $5, $6, $7)";

/// What `$1` to `$5` name: by whom, of which kind, which object, since when, until when.
macro_rules! named {
    () => {
        "($1 is null or a.who = $1) and ($2 is null or a.kind = $2) \
         and ($3 is null or a.object = $3) and ($4 is null or a.at >= $4) \
         and ($5 is null or a.at < $5)"
    };
}

const LIST: &str = concat!(
    "select a.id, a.at, a.who, a.route, a.kind, a.object, a.action, a.detail from audit a where ",
    named!(),
    " and ($6 is null or (a.at, a.id) < ($6, $7)) order by a.at desc, a.id desc limit $8"
);

const COUNT: &str = concat!(
    "select count(*) as found from (select 1 from audit a where ",
    named!(),
    " limit $6) c"
);

const PRUNE: &str = "
delete from audit where id in (
    select a.id from audit a where a.at < {now-ms:$1} order by a.at limit $2)";

/// Characters of each text that is kept.
const MOST: usize = 500;

/// One thing that was changed.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) kind: AuditKind,
    pub(crate) object: String,
    pub(crate) action: AuditAction,
    /// No secret.
    pub(crate) detail: String,
}

impl Change {
    pub(crate) fn new(kind: AuditKind, object: impl Into<String>, action: AuditAction) -> Self {
        Self { kind, object: object.into(), action, detail: String::new() }
    }

    /// With a few words on it.
    pub(crate) fn saying(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    fn insert(&self, author: &Author) -> Query {
        Query::new(INSERT)
            .bind(Uuid::now_v7())
            .bind(cut(&author.who))
            .bind(cut(&author.route))
            .bind(self.kind.as_str())
            .bind(cut(&self.object))
            .bind(self.action.as_str())
            .bind(cut(&self.detail))
    }

    fn tell(&self, author: &Author) {
        tracing::info!(
            who = author.who,
            route = author.route,
            kind = self.kind.as_str(),
            object = self.object,
            action = self.action.as_str(),
            detail = self.detail,
            "change.made"
        );
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MOST).collect()
}

impl Store {
    /// The same store, which writes down in the audit log what is changed through it, in the
    /// transaction of the change. Claims, outcomes and what follows from them are no such changes.
    #[must_use]
    pub fn by(&self, author: Author) -> Self {
        Self(self.0.clone(), Some(Arc::new(author)))
    }

    /// As [`Store::change`]. What `work` says besides that it changed is kept with its author.
    pub(crate) async fn change_noted<A, T, F>(
        &self,
        name: &'static str,
        args: A,
        work: F,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t A, Tx<'t>) -> BoxFuture<'t, Result<(T, Vec<Change>), Fault>>
            + Send
            + Sync
            + 'static,
    {
        let noted = (args, work, self.1.clone());
        let committed = self.change(name, noted, |(args, work, author), mut tx| {
            Box::pin(async move {
                let (done, changes) = work(args, tx.again()).await?;
                if let Some(author) = author {
                    for change in &changes {
                        tx.run(&change.insert(author)).await?;
                    }
                }
                Ok((done, changes))
            })
        });
        let (done, changes) = committed.await?;
        if let Some(author) = &self.1 {
            for change in &changes {
                change.tell(author);
            }
        }
        Ok(done)
    }

    /// A statement that changes rows, how many it changed; `change` is noted if it changed any.
    pub(crate) async fn run_noted(
        &self,
        name: &'static str,
        query: Query,
        change: Change,
    ) -> Result<u64, StoreError> {
        self.change_noted(name, (query, change), |(query, change), mut tx| {
            Box::pin(async move {
                let changed = tx.run(query).await?;
                Ok((changed, if changed > 0 { vec![change.clone()] } else { Vec::new() }))
            })
        })
        .await
    }

    /// A page of the audit log, newest first; `limit` 1 to 1,000.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        after: Option<AuditCursor>,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        let limit = limit.clamp(1, 1_000);
        let list = named(LIST, filter)
            .bind(after.map(|cursor| cursor.at))
            .bind(after.map(|cursor| cursor.id))
            // One more than asked for tells whether there is a next page.
            .bind(i64::from(limit) + 1);
        let rows = self.rows("audit", &list).await?;
        Ok(AuditPage::of(rows.iter().map(entry).collect::<Result<_, _>>()?, limit))
    }

    /// How many changes the filter names, counted up to 10,000.
    pub async fn count_audit(&self, filter: &AuditFilter) -> Result<Total, StoreError> {
        self.counted("count_audit", named(COUNT, filter)).await
    }

    /// Retention: drops what was changed before `keep` ago, `limit` rows at most; how many went.
    pub async fn prune_audit(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        self.run("prune_audit", Query::new(PRUNE).bind(keep).bind(limit)).await
    }
}

fn named(text: &'static str, filter: &AuditFilter) -> Query {
    Query::new(text)
        .bind(&filter.who)
        .bind(filter.kind.map(AuditKind::as_str))
        .bind(&filter.object)
        .bind(filter.since)
        .bind(filter.until)
}

fn entry(row: &Row) -> Result<AuditEntry, Fault> {
    Ok(AuditEntry {
        id: row.uuid("id")?,
        at: row.at("at")?,
        who: row.string("who")?,
        route: row.string("route")?,
        kind: codec::audit_kind(row.text("kind")?)?,
        object: row.string("object")?,
        action: codec::audit_action(row.text("action")?)?,
        detail: row.string("detail")?,
    })
}
