//! Secrets, sealed at rest; L5: a new value opens the lanes that waited for it.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::Pg;
use super::fragments::release;
use super::rows::{at, fault, get};
use crate::seal::Sealed;
use crate::{SecretInfo, SecretPut, SecretValues, SecretWrite, StoreError};

/// How often a secret that changes under the hand is read again.
const TRIES: u32 = 3;

const PUT: &str = "
insert into secrets as s (name, sealed, key_id) values ($1, $2, $3)
on conflict (name) do update set sealed = excluded.sealed, key_id = excluded.key_id,
    rev = s.rev + 1, updated_at = now()
returning uuid, name, description, team_uuid, rev, key_id, created_at, updated_at";

const INSERT: &str = "
insert into secrets (name, sealed, key_id, description, team_uuid) values ($1, $2, $3, $4, $5)
on conflict (name) do nothing
returning uuid, name, description, team_uuid, rev, key_id, created_at, updated_at";

const FIND: &str = "select name, team_uuid, sealed, key_id, rev from secrets where uuid = $1";

const IS_TAKEN: &str = "select exists (select from secrets where name = $1 and uuid <> $2)";

/// Unless it changed since it was read.
const REPLACE: &str = "
update secrets set name = $3, sealed = $4, key_id = $5, description = $6, team_uuid = $7,
    rev = rev + 1, updated_at = now()
where uuid = $1 and rev = $2
returning uuid, name, description, team_uuid, rev, key_id, created_at, updated_at";

const LIST: &str = "
select uuid, name, description, team_uuid, rev, key_id, created_at, updated_at
from secrets order by name";

const DELETE: &str = "delete from secrets where name = $1";

const VALUES: &str = "
select name, sealed from secrets where name = any($1) and team_uuid is not distinct from $2";

/// Locks the lanes that use one of these secrets, in id order.
const LANES: &str = "
select l.id, l.name, l.hold_cause is not null and l.hold_cause <> 'manual' as opens
from lanes l
where l.id in (select lane_id from webhooks where $1 && secret_names and state <> 'deleted')
order by l.id
for update";

/// Workers reload the value, and refusals of the old one hold nothing any more (HOLD_REV).
const NEW_REV: &str = "
update lanes set secret_rev = secret_rev + 1, strikes = 0, strike_webhook = null
where id = any($1)";

const OPEN: &str = concat!("update lanes l set ", release!(), " where l.id = any($1)");

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("set_secret", PUT),
    ("insert_secret", INSERT),
    ("find_secret", FIND),
    ("is_secret_taken", IS_TAKEN),
    ("replace_secret", REPLACE),
    ("secrets", LIST),
    ("delete_secret", DELETE),
    ("secret_values", VALUES),
    ("lanes_of_secret", LANES),
    ("new_secret_rev", NEW_REV),
    ("open_lanes", OPEN),
];

type Tx = Transaction<'static, Postgres>;

impl Pg {
    pub(crate) async fn set_secret(
        &self,
        name: &str,
        value: &SecretString,
    ) -> Result<(SecretInfo, Vec<String>), StoreError> {
        let sealed = self.key.seal(Sealed::Secret, name, value.expose_secret())?;
        let mut tx = self.pool.begin().await.map_err(fault)?;
        let opened = open_lanes(&mut tx, &[name]).await?;
        let row = sqlx::query(PUT)
            .bind(name)
            .bind(sealed)
            .bind(self.key.id())
            .fetch_one(&mut *tx)
            .await
            .map_err(fault)?;
        tx.commit().await.map_err(fault)?;
        Ok((info(&row)?, opened))
    }

    pub(crate) async fn put_secret(&self, write: &SecretWrite) -> Result<SecretPut, StoreError> {
        let Some(uuid) = &write.uuid else {
            return self.insert_secret(write).await;
        };
        let Ok(uuid) = uuid.parse() else {
            return Ok(SecretPut::NotFound);
        };
        for _ in 0..TRIES {
            if let Some(put) = self.replace_secret(uuid, write).await? {
                return Ok(put);
            }
        }
        Err(StoreError::Unavailable("the secret is being changed by others".to_owned()))
    }

    async fn insert_secret(&self, write: &SecretWrite) -> Result<SecretPut, StoreError> {
        let value = write.value.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        let sealed = self.key.seal(Sealed::Secret, &write.name, value)?;
        let mut tx = self.pool.begin().await.map_err(fault)?;
        let opened = open_lanes(&mut tx, &[&write.name]).await?;
        let row = sqlx::query(INSERT)
            .bind(&write.name)
            .bind(sealed)
            .bind(self.key.id())
            .bind(&write.description)
            .bind(&write.team_uuid)
            .fetch_optional(&mut *tx)
            .await
            .map_err(fault)?;
        let Some(row) = row else {
            tx.rollback().await.map_err(fault)?;
            return Ok(SecretPut::NameTaken);
        };
        tx.commit().await.map_err(fault)?;
        Ok(SecretPut::Written { secret: info(&row)?, opened })
    }

    /// `None`: it changed in the meantime.
    async fn replace_secret(
        &self,
        uuid: Uuid,
        write: &SecretWrite,
    ) -> Result<Option<SecretPut>, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        let found = sqlx::query(FIND).bind(uuid).fetch_optional(&mut *tx).await.map_err(fault)?;
        let Some(old) = found else {
            return Ok(Some(SecretPut::NotFound));
        };
        let query = sqlx::query_scalar(IS_TAKEN).bind(&write.name).bind(uuid);
        if query.fetch_one(&mut *tx).await.map_err(fault)? {
            return Ok(Some(SecretPut::NameTaken));
        }
        let name: String = get(&old, "name")?;
        let opened = if write.affects_lanes(&name, get(&old, "team_uuid")?) {
            open_lanes(&mut tx, &[&name, &write.name]).await?
        } else {
            Vec::new()
        };
        let (sealed, key_id) = self.resealed(&old, &name, write)?;
        let row = sqlx::query(REPLACE)
            .bind(uuid)
            .bind(get::<i64, _>(&old, "rev")?)
            .bind(&write.name)
            .bind(sealed)
            .bind(key_id)
            .bind(&write.description)
            .bind(&write.team_uuid)
            .fetch_optional(&mut *tx)
            .await
            .map_err(fault)?;
        let Some(row) = row else {
            tx.rollback().await.map_err(fault)?;
            return Ok(None);
        };
        tx.commit().await.map_err(fault)?;
        Ok(Some(SecretPut::Written { secret: info(&row)?, opened }))
    }

    /// What to store and the key that sealed it: a value is sealed under its secret's name.
    fn resealed(
        &self,
        old: &PgRow,
        name: &str,
        write: &SecretWrite,
    ) -> Result<(String, String), StoreError> {
        let kept = match &write.value {
            None if write.name == name => return Ok((get(old, "sealed")?, get(old, "key_id")?)),
            None => &self.key.open(Sealed::Secret, name, get(old, "sealed")?)?,
            Some(value) => value,
        };
        let sealed = self.key.seal(Sealed::Secret, &write.name, kept.expose_secret())?;
        Ok((sealed, self.key.id()))
    }

    pub(crate) async fn secrets(&self) -> Result<Vec<SecretInfo>, StoreError> {
        let rows = sqlx::query(LIST).fetch_all(&self.pool).await.map_err(fault)?;
        rows.iter().map(info).collect()
    }

    pub(crate) async fn delete_secret(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        new_secret_rev(&mut tx, &[name]).await?;
        let deleted = sqlx::query(DELETE).bind(name).execute(&mut *tx).await.map_err(fault)?;
        tx.commit().await.map_err(fault)?;
        Ok(deleted.rows_affected() > 0)
    }

    pub(crate) async fn secret_values(
        &self,
        names: &BTreeSet<String>,
        team: Option<&str>,
    ) -> Result<SecretValues, StoreError> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let query = sqlx::query(VALUES).bind(names).bind(team);
        let rows = query.fetch_all(&self.pool).await.map_err(fault)?;
        let value = |row| {
            let name: String = get(row, "name")?;
            let value = self.key.open(Sealed::Secret, &name, get(row, "sealed")?)?;
            Ok((name, value))
        };
        rows.iter().map(value).collect()
    }
}

struct UsingLane {
    id: i64,
    name: String,
    /// Held, and not by hand.
    opens: bool,
}

/// L5: lanes that use one of these secrets look again, those that are held open.
async fn open_lanes(tx: &mut Tx, secrets: &[&str]) -> Result<Vec<String>, StoreError> {
    let lanes = new_secret_rev(tx, secrets).await?;
    let (ids, names): (Vec<i64>, Vec<String>) =
        lanes.into_iter().filter(|lane| lane.opens).map(|lane| (lane.id, lane.name)).unzip();
    sqlx::query(OPEN).bind(ids).execute(&mut **tx).await.map_err(fault)?;
    Ok(names)
}

async fn new_secret_rev(tx: &mut Tx, secrets: &[&str]) -> Result<Vec<UsingLane>, StoreError> {
    let rows = sqlx::query(LANES).bind(secrets).fetch_all(&mut **tx).await.map_err(fault)?;
    let lane = |row| {
        let (id, name) = (get(row, "id")?, get(row, "name")?);
        Ok(UsingLane { id, name, opens: get(row, "opens")? })
    };
    let lanes: Vec<UsingLane> = rows.iter().map(lane).collect::<Result<_, StoreError>>()?;
    let ids: Vec<i64> = lanes.iter().map(|lane| lane.id).collect();
    sqlx::query(NEW_REV).bind(ids).execute(&mut **tx).await.map_err(fault)?;
    Ok(lanes)
}

fn info(row: &PgRow) -> Result<SecretInfo, StoreError> {
    Ok(SecretInfo {
        uuid: get::<Uuid, _>(row, "uuid")?.to_string(),
        name: get(row, "name")?,
        description: get(row, "description")?,
        team_uuid: get(row, "team_uuid")?,
        rev: get(row, "rev")?,
        key_id: get(row, "key_id")?,
        created_at: at(row, "created_at")?,
        updated_at: at(row, "updated_at")?,
    })
}
