//! The value that is to follow the one in use: set beside it, probed, and put in its place (L5).

use postrider_domain::{AuditAction, AuditKind, ProbeVerdict};
use secrecy::{ExposeSecret, SecretString};

use super::Tx;
use super::audit::Change;
use super::query::Query;
use super::secrets::{FORGET, info, open_lanes};
use crate::fault::Fault;
use crate::seal::Sealed;
use crate::{MasterKey, PendingPut, Store, StoreError, Switched, codec};

const FIND: &str = "
select sealed, github_app, pending, pending_at, pending_no from secrets where name = $1 {lock}";

const SET: &str = "
update secrets set pending = $2, pending_no = pending_no + 1, pending_at = {now}
where name = $1 returning pending_at";

const DROP: &str = "
update secrets set pending = null, pending_at = null where name = $1 and pending is not null";

/// What the last probe of this pending value found.
const FOUND: &str = "
select verdict from credential_probes
where name = $1 and which = 'pending' and value_no = $2 and finished_at is not null";

const SWITCH: &str = concat!(
    "update secrets set previous = sealed, previous_at = {now}, sealed = pending, key_id = $2,
         pending = null, pending_at = null, rev = rev + 1, updated_at = {now}
     where name = $1 returning ",
    super::secrets::columns!()
);

/// What a switch is asked to do.
struct Order {
    name: String,
    reason: Option<String>,
    is_forced: bool,
}

impl Store {
    /// Sets the value that is to follow the one in use. The same value again is the same; the one
    /// in use is none.
    pub async fn set_pending(
        &self,
        name: &str,
        value: &SecretString,
    ) -> Result<PendingPut, StoreError> {
        let args = (name.to_owned(), value.clone(), self.key().clone());
        self.change_noted("set_pending", args, |(name, value, key), tx| {
            Box::pin(async move {
                let (put, action) = set(name, value, key, tx).await?;
                let change = action.map(|action| Change::new(AuditKind::Secret, name, action));
                Ok((put, change.into_iter().collect()))
            })
        })
        .await
    }

    /// Forgets the value that was to follow; whether there was one.
    pub async fn drop_pending(&self, name: &str) -> Result<bool, StoreError> {
        let drop = Query::new(DROP).bind(name);
        let change = Change::new(AuditKind::Secret, name, AuditAction::Dropped);
        Ok(self.run_noted("drop_pending", drop, change).await? > 0)
    }

    /// L5. Puts the pending value in the place of the one in use, if a probe found it good or
    /// `is_forced`; the old value is kept beside.
    pub async fn switch_secret(
        &self,
        name: &str,
        reason: Option<&str>,
        is_forced: bool,
    ) -> Result<Switched, StoreError> {
        let order = Order { name: name.to_owned(), reason: reason.map(str::to_owned), is_forced };
        self.change_noted("switch_secret", order, |order, tx| {
            Box::pin(async move {
                let switched = switch(order, tx).await?;
                let change = Change::new(AuditKind::Secret, &order.name, AuditAction::Switched);
                let is_done = matches!(switched, Switched::Done { .. });
                let change = change.saying(said(order, &switched));
                Ok((switched, if is_done { vec![change] } else { Vec::new() }))
            })
        })
        .await
    }
}

fn said(order: &Order, switched: &Switched) -> String {
    let Switched::Done { secret, opened } = switched else { return String::new() };
    let forced = if order.is_forced { ", without a trial that succeeded" } else { "" };
    let reason = order.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("revision {}, lanes opened: {}{forced}{reason}", secret.rev, opened.len())
}

/// What became of it, and what was done for that.
async fn set(
    name: &str,
    value: &SecretString,
    key: &MasterKey,
    mut tx: Tx<'_>,
) -> Result<(PendingPut, Option<AuditAction>), Fault> {
    let Some(row) = tx.row(&Query::new(FIND).bind(name)).await? else {
        return Ok((PendingPut::NotFound, None));
    };
    if row.text_opt("github_app")?.is_some() {
        return Ok((PendingPut::GithubApp, None));
    }
    let is = |sealed: &str| {
        let known = key.open(Sealed::Secret, name, sealed)?;
        Ok::<_, Fault>(known.expose_secret() == value.expose_secret())
    };
    if is(row.text("sealed")?)? {
        let dropped = tx.run(&Query::new(DROP).bind(name)).await?;
        return Ok((PendingPut::Current, (dropped > 0).then_some(AuditAction::Dropped)));
    }
    if let (Some(pending), Some(at)) = (row.text_opt("pending")?, row.at_opt("pending_at")?)
        && is(pending)?
    {
        return Ok((PendingPut::Pending(at), None));
    }
    let sealed = key.seal(Sealed::Secret, name, value.expose_secret())?;
    let row = tx.one(&Query::new(SET).bind(name).bind(sealed)).await?;
    Ok((PendingPut::Pending(row.at("pending_at")?), Some(AuditAction::Prepared)))
}

async fn switch(order: &Order, mut tx: Tx<'_>) -> Result<Switched, Fault> {
    let name = &order.name;
    let Some(row) = tx.row(&Query::new(FIND).bind(name)).await? else {
        return Ok(Switched::NotFound);
    };
    if row.text_opt("github_app")?.is_some() {
        return Ok(Switched::GithubApp);
    }
    let Some(pending) = row.string_opt("pending")? else { return Ok(Switched::NothingPending) };
    let found = Query::new(FOUND).bind(name).bind(row.int("pending_no")?);
    let found = tx.row(&found).await?.map(|row| row.string_opt("verdict")).transpose()?.flatten();
    let found = found.as_deref().map(codec::probe_verdict).transpose()?;
    if !order.is_forced && found != Some(ProbeVerdict::Ok) {
        return Ok(Switched::NotProbed(found));
    }
    let switch = Query::new(SWITCH).bind(name).bind(crate::seal::key_id(&pending));
    let row = tx.one(&switch).await?;
    tx.run(&Query::new(FORGET).bind(name)).await?;
    let opened = open_lanes(&mut tx, &[name]).await?;
    Ok(Switched::Done { secret: info(&row)?, opened })
}
