//! Secrets, sealed at rest; L5: a new value opens the lanes that waited for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use postrider_domain::{AuditAction, AuditKind, GithubApp};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::audit::Change;
use super::parked::unpark;
use super::query::Query;
use super::row::Row;
use super::{Tx, lanes};
use crate::fault::Fault;
use crate::seal::{Sealed, key_id};
use crate::{
    AppSecret, MasterKey, SecretContent, SecretInfo, SecretPut, SecretWrite, Secrets, Store,
    StoreError,
};

/// How often a secret that changes under the hand is read again.
const TRIES: u32 = 3;

/// What a secret is read from.
macro_rules! columns {
    () => {
        "uuid, name, description, team_uuid, rev, key_id, github_app, created_at, updated_at"
    };
    ($of:literal) => {
        concat!(
            $of,
            "uuid, ",
            $of,
            "name, ",
            $of,
            "description, ",
            $of,
            "team_uuid, ",
            $of,
            "rev, ",
            $of,
            "key_id, ",
            $of,
            "github_app, ",
            $of,
            "created_at, ",
            $of,
            "updated_at"
        )
    };
}
pub(super) use columns;

/// Of the row there is, unless the name is to be free, only value and key change; what was to
/// follow the old value follows no other.
const PUT: &str = concat!(
    "insert into secrets (uuid, name, sealed, key_id, description, team_uuid, github_app, created_at,
         updated_at)
     values ($1, $2, $3, $4, $5, $6, $8, {now}, {now})
     on conflict (name) do update set sealed = excluded.sealed, key_id = excluded.key_id,
         github_app = excluded.github_app, pending = null, pending_at = null,
         rev = secrets.rev + 1, updated_at = {now}
     where not $7
     returning ",
    columns!()
);

const FIND: &str = "select name, team_uuid, sealed, github_app, rev from secrets where uuid = $1";

const BY_NAME: &str = "select uuid from secrets where name = $1";

/// Unless it changed since it was read. Values beside it are sealed under its name.
const REPLACE: &str = concat!(
    "update secrets set name = $3, sealed = $4, key_id = $5, description = $6, team_uuid = $7,
         github_app = $8,
         pending = case when name = $3 and $9 then pending end,
         pending_at = case when name = $3 and $9 then pending_at end,
         previous = case when name = $3 then previous end,
         previous_at = case when name = $3 then previous_at end,
         rev = rev + 1, updated_at = {now}
     where uuid = $1 and rev = $2 returning ",
    columns!()
);

/// What is known is of the old value.
pub(super) const FORGET: &str = "
update credential_facts set owner = null, scopes = null, expires_at = null where name = $1";

/// Of a name that no secret has any more.
const FORGET_ALL: [&str; 2] = [
    "delete from credential_facts where name = $1",
    "delete from credential_probes where name = $1",
];

const LIST: &str = concat!("select ", columns!(), " from secrets order by name");

const VALUES: &str = "
select uuid, name, sealed, rev, github_app from secrets where name {in:$1} and team_uuid is not distinct from $2";

/// Locks the lanes that use one of these secrets, in id order.
const LANES: &str = "
select l.id, l.name, l.hold_cause from lanes l
where l.id in (
    select w.lane_id from webhooks w
    where w.state <> 'deleted'
        and exists (select 1 from {each:w.secret_names} where item.value {in:$1}))
order by l.id {lock}";

/// Workers reload the value, and refusals of the old one hold nothing any more (HOLD_REV).
const NEW_REV: &str = "
update lanes set secret_rev = secret_rev + 1, strikes = 0, strike_webhook = null
where id {in:$1}";

/// The same for the webhooks that use one of these secrets.
const NEW_SECRETS_REV: &str = "
update webhooks set secrets_rev = secrets_rev + 1
where state <> 'deleted'
    and exists (select 1 from {each:webhooks.secret_names} where item.value {in:$1})";

/// W5: those that are parked.
const UNPARK: &str = concat!(
    unpark!(),
    "state <> 'deleted' and hold_cause is not null
    and exists (select 1 from {each:webhooks.secret_names} where item.value {in:$1})"
);

impl Store {
    /// L5, W5. Sets a value, of a secret without a team when there is none of the name: raises
    /// `secret_rev` of every lane that a webhook with this secret uses and `secrets_rev` of the
    /// webhook, opens those lanes that are held, unless by hand, and ends the parks of those
    /// webhooks. Returns the secret and the names of the lanes that opened.
    pub async fn set_secret(
        &self,
        name: &str,
        value: &SecretString,
    ) -> Result<(SecretInfo, Vec<String>), StoreError> {
        self.set_secret_to(name, value.clone().into()).await
    }

    /// As [`set_secret`](Self::set_secret), with whatever the secret stands for.
    pub async fn set_secret_to(
        &self,
        name: &str,
        content: SecretContent,
    ) -> Result<(SecretInfo, Vec<String>), StoreError> {
        let write = SecretWrite {
            uuid: None,
            name: name.to_owned(),
            description: None,
            team_uuid: None,
            value: Some(content),
        };
        match self.upsert_secret(&write, false).await? {
            SecretPut::Written { secret, opened } => Ok((secret, opened)),
            SecretPut::NameTaken | SecretPut::NotFound => {
                Err(StoreError::Corrupt("the secret was not written".to_owned()))
            }
        }
    }

    /// L5. Makes or replaces a secret as [`set_secret`](Self::set_secret) does, with description
    /// and team, by uuid; it may be renamed, which counts for the lanes of both names. A change
    /// of the description alone touches no lane.
    pub async fn put_secret(&self, write: &SecretWrite) -> Result<SecretPut, StoreError> {
        let Some(uuid) = &write.uuid else {
            return self.upsert_secret(write, true).await;
        };
        let Ok(uuid) = uuid.parse::<Uuid>() else {
            return Ok(SecretPut::NotFound);
        };
        for _ in 0..TRIES {
            let args = (uuid, write.clone(), self.key().clone());
            let replaced = self.change_noted("replace_secret", args, |(uuid, write, key), tx| {
                Box::pin(async move {
                    let put = replace(*uuid, write, key, tx).await?;
                    let written = put.as_ref().and_then(|put| noted(put, write));
                    Ok((put, written.into_iter().collect()))
                })
            });
            if let Some(put) = replaced.await? {
                return Ok(put);
            }
        }
        Err(StoreError::Unavailable("the secret is being changed by others".to_owned()))
    }

    async fn upsert_secret(
        &self,
        write: &SecretWrite,
        is_new: bool,
    ) -> Result<SecretPut, StoreError> {
        let empty = SecretContent::from("");
        let content = write.value.as_ref().unwrap_or(&empty);
        let Kept { sealed, github_app } = Kept::of(content, &write.name, self.key())?;
        let put = Query::new(PUT)
            .bind(random_uuid())
            .bind(&write.name)
            .bind(&sealed)
            .bind(key_id(&sealed))
            .bind(&write.description)
            .bind(&write.team_uuid)
            .bind(is_new)
            .bind(github_app);
        self.change_noted("set_secret", (write.clone(), put), |(write, put), mut tx| {
            Box::pin(async move {
                let Some(row) = tx.row(put).await? else {
                    return Ok((SecretPut::NameTaken, Vec::new()));
                };
                tx.run(&Query::new(FORGET).bind(&write.name)).await?;
                let opened = open_lanes(&mut tx, &[&write.name]).await?;
                let put = SecretPut::Written { secret: info(&row)?, opened };
                let written = noted(&put, write);
                Ok((put, written.into_iter().collect()))
            })
        })
        .await
    }

    /// All secrets by name.
    pub async fn secrets(&self) -> Result<Vec<SecretInfo>, StoreError> {
        let rows = self.rows("secrets", &Query::new(LIST)).await?;
        Ok(rows.iter().map(info).collect::<Result<_, _>>()?)
    }

    /// Removes one; `false` when there is none. A webhook that uses it is held at its next send, and
    /// its lane once no other webhook of it goes on (`HOLD_POWER`).
    pub async fn delete_secret(&self, name: &str) -> Result<bool, StoreError> {
        self.change_noted("delete_secret", name.to_owned(), |name, mut tx| {
            Box::pin(async move {
                let delete = Query::new("delete from secrets where name = $1").bind(name);
                if tx.run(&delete).await? == 0 {
                    return Ok((false, Vec::new()));
                }
                for of_it in FORGET_ALL {
                    tx.run(&Query::new(of_it).bind(name)).await?;
                }
                new_secret_rev(&mut tx, &[name]).await?;
                Ok((true, vec![Change::new(AuditKind::Secret, name, AuditAction::Deleted)]))
            })
        })
        .await
    }

    /// What the names stand for that stand for something, as a webhook of this team (`None`: without one) may
    /// use them: another team's secret is as good as missing.
    pub async fn secret_values(
        &self,
        names: &BTreeSet<String>,
        team: Option<&str>,
    ) -> Result<Secrets, StoreError> {
        let names: Vec<String> = names.iter().cloned().collect();
        let rows = self.served("secret_values", &Query::new(VALUES).bind(names).bind(team)).await?;
        let mut secrets = Secrets::default();
        for row in &rows {
            let name = row.string("name")?;
            match opened(row, &name, self.key())? {
                SecretContent::Value(value) => {
                    secrets.values.insert(name, value);
                }
                SecretContent::GithubApp { app, private_key } => {
                    let (uuid, rev) = (row.uuid("uuid")?.to_string(), row.int("rev")?);
                    secrets.apps.insert(name, Arc::new(AppSecret { uuid, rev, app, private_key }));
                }
            }
        }
        Ok(secrets)
    }
}

/// A secret's content as a row keeps it.
struct Kept {
    sealed: String,
    github_app: Option<String>,
}

impl Kept {
    /// It is sealed under its secret's name, and as what it is: a key opens as no value.
    fn of(content: &SecretContent, name: &str, key: &MasterKey) -> Result<Self, StoreError> {
        match content {
            SecretContent::Value(value) => {
                let sealed = key.seal(Sealed::Secret, name, value.expose_secret())?;
                Ok(Self { sealed, github_app: None })
            }
            SecretContent::GithubApp { app, private_key } => {
                let sealed = key.seal(Sealed::AppKey, name, private_key.expose_secret())?;
                let text = serde_json::to_string(app)
                    .map_err(|error| StoreError::Corrupt(format!("a GitHub App: {error}")))?;
                Ok(Self { sealed, github_app: Some(text) })
            }
        }
    }
}

/// What a row keeps of a secret.
fn opened(row: &Row, name: &str, key: &MasterKey) -> Result<SecretContent, Fault> {
    let sealed = row.text("sealed")?;
    Ok(match app(row)? {
        None => SecretContent::Value(key.open(Sealed::Secret, name, sealed)?),
        Some(app) => {
            let private_key = key.open(Sealed::AppKey, name, sealed)?;
            SecretContent::GithubApp { app, private_key }
        }
    })
}

fn app(row: &Row) -> Result<Option<GithubApp>, Fault> {
    let read = |text: &str| {
        serde_json::from_str(text)
            .map_err(|error| StoreError::Corrupt(format!("a GitHub App: {error}")))
    };
    Ok(row.text_opt("github_app")?.map(read).transpose()?)
}

/// What the audit log says of a secret that was written.
fn noted(put: &SecretPut, write: &SecretWrite) -> Option<Change> {
    let SecretPut::Written { secret, opened } = put else { return None };
    let is_new = secret.rev == 1;
    let action = if is_new { AuditAction::Created } else { AuditAction::Changed };
    let what = match &write.value {
        Some(SecretContent::Value(_)) => "a new value",
        Some(SecretContent::GithubApp { .. }) => "a GitHub App",
        None => "the value is kept",
    };
    let opened = match opened.len() {
        0 => String::new(),
        opened => format!(", lanes opened: {opened}"),
    };
    let detail = format!("{what}, revision {}{opened}", secret.rev);
    Some(Change::new(AuditKind::Secret, &secret.name, action).saying(detail))
}

fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// `None`: it changed in the meantime.
async fn replace(
    uuid: Uuid,
    write: &SecretWrite,
    key: &MasterKey,
    mut tx: Tx<'_>,
) -> Result<Option<SecretPut>, Fault> {
    let Some(old) = tx.row(&Query::new(FIND).bind(uuid)).await? else {
        return Ok(Some(SecretPut::NotFound));
    };
    let named = tx.row(&Query::new(BY_NAME).bind(&write.name)).await?;
    if named.map(|row| row.uuid("uuid")).transpose()?.is_some_and(|other| other != uuid) {
        return Ok(Some(SecretPut::NameTaken));
    }
    let name = old.string("name")?;
    let Kept { sealed, github_app } = resealed(&old, &name, write, key)?;
    let replace = Query::new(REPLACE)
        .bind(uuid)
        .bind(old.int("rev")?)
        .bind(&write.name)
        .bind(&sealed)
        .bind(key_id(&sealed))
        .bind(&write.description)
        .bind(&write.team_uuid)
        .bind(github_app)
        .bind(write.value.is_none());
    let Some(row) = tx.row(&replace).await? else {
        return Ok(None);
    };
    if write.name != name {
        for of_it in FORGET_ALL {
            tx.run(&Query::new(of_it).bind(&name)).await?;
        }
    } else if write.value.is_some() {
        tx.run(&Query::new(FORGET).bind(&name)).await?;
    }
    let opened = if write.affects_lanes(&name, old.text_opt("team_uuid")?) {
        open_lanes(&mut tx, &[&name, &write.name]).await?
    } else {
        Vec::new()
    };
    Ok(Some(SecretPut::Written { secret: info(&row)?, opened }))
}

/// What to store: a value is sealed under its secret's name.
fn resealed(old: &Row, name: &str, write: &SecretWrite, key: &MasterKey) -> Result<Kept, Fault> {
    let kept = match &write.value {
        None if write.name == name => {
            let github_app = old.string_opt("github_app")?;
            return Ok(Kept { sealed: old.string("sealed")?, github_app });
        }
        None => &opened(old, name, key)?,
        Some(content) => content,
    };
    Ok(Kept::of(kept, &write.name, key)?)
}

/// L5: lanes that use one of these secrets look again, those that are held open, unless by hand
/// (`RELEASE_GEN`).
pub(super) async fn open_lanes(tx: &mut Tx<'_>, secrets: &[&String]) -> Result<Vec<String>, Fault> {
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for lane in new_secret_rev(tx, secrets).await? {
        if lane.text_opt("hold_cause")?.is_some_and(|cause| cause != "manual") {
            ids.push(lane.int("id")?);
            names.push(lane.string("name")?);
        }
    }
    tx.run(&Query::new(lanes::OPEN).bind(ids)).await?;
    let secrets: Vec<String> = secrets.iter().copied().cloned().collect();
    tx.run(&Query::new(UNPARK).bind(secrets)).await?;
    Ok(names)
}

async fn new_secret_rev(tx: &mut Tx<'_>, secrets: &[&String]) -> Result<Vec<Row>, Fault> {
    let secrets: Vec<String> = secrets.iter().copied().cloned().collect();
    let lanes = tx.rows(&Query::new(LANES).bind(secrets.clone())).await?;
    let ids: Vec<i64> = lanes.iter().map(|lane| lane.int("id")).collect::<Result<_, _>>()?;
    tx.run(&Query::new(NEW_REV).bind(ids)).await?;
    tx.run(&Query::new(NEW_SECRETS_REV).bind(secrets)).await?;
    Ok(lanes)
}

pub(super) fn info(row: &Row) -> Result<SecretInfo, Fault> {
    Ok(SecretInfo {
        uuid: row.uuid("uuid")?.to_string(),
        name: row.string("name")?,
        description: row.string_opt("description")?,
        team_uuid: row.string_opt("team_uuid")?,
        rev: row.int("rev")?,
        key_id: row.string("key_id")?,
        github_app: app(row)?.map(Box::new),
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
    })
}
