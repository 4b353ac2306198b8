//! Secrets, sealed at rest.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::fault::Fault;
use super::rows::json;
use super::writer::Turn;
use super::{Lite, clock};
use crate::seal::{Sealed, key_id};
use crate::{MasterKey, SecretInfo, SecretPut, SecretValues, SecretWrite, StoreError};

impl Lite {
    pub(crate) async fn set_secret(
        &self,
        name: &str,
        value: &SecretString,
    ) -> Result<(SecretInfo, Vec<String>), StoreError> {
        let sealed = self.0.master_key.seal(Sealed::Secret, name, value.expose_secret())?;
        self.write((name.to_owned(), sealed), |(name, sealed), turn| {
            Box::pin(set(name, sealed, turn))
        })
        .await
    }

    pub(crate) async fn put_secret(&self, write: &SecretWrite) -> Result<SecretPut, StoreError> {
        let key = self.0.master_key.clone();
        self.write((write.clone(), key), |(write, key), turn| Box::pin(put(write, key, turn))).await
    }

    pub(crate) async fn secrets(&self) -> Result<Vec<SecretInfo>, StoreError> {
        let mut conn = self.reader().await?;
        let rows = sqlx::query(
            "SELECT uuid, name, description, team_uuid, rev, key_id, created_at, updated_at
             FROM secrets ORDER BY name",
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        Ok(rows.iter().map(info).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn delete_secret(&self, name: &str) -> Result<bool, StoreError> {
        self.write(name.to_owned(), |name, turn| Box::pin(delete(name, turn))).await
    }

    pub(crate) async fn secret_values(
        &self,
        names: &BTreeSet<String>,
        team: Option<&str>,
    ) -> Result<SecretValues, StoreError> {
        let mut conn = self.reader().await?;
        let names = json(names)?;
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT name, sealed FROM secrets
             WHERE name IN (SELECT value FROM json_each(?1)) AND team_uuid IS ?2",
        )
        .bind(names)
        .bind(team)
        .fetch_all(&mut *conn)
        .await
        .map_err(Fault::Sql)?;
        let open = |(name, sealed): (String, String)| {
            let value = self.0.master_key.open(Sealed::Secret, &name, &sealed)?;
            Ok((name, value))
        };
        rows.into_iter().map(open).collect()
    }
}

fn info(row: &SqliteRow) -> Result<SecretInfo, Fault> {
    Ok(SecretInfo {
        uuid: row.try_get("uuid")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        team_uuid: row.try_get("team_uuid")?,
        rev: row.try_get("rev")?,
        key_id: row.try_get("key_id")?,
        created_at: clock::timestamp(row.try_get("created_at")?)?,
        updated_at: clock::timestamp(row.try_get("updated_at")?)?,
    })
}

/// L5: the value, then the lanes that it may open.
async fn set(
    name: &str,
    sealed: &str,
    turn: &mut Turn,
) -> Result<(SecretInfo, Vec<String>), Fault> {
    let uuid = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let row = sqlx::query(
        "INSERT INTO secrets (name, uuid, rev, key_id, sealed, created_at, updated_at)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?5)
         ON CONFLICT (name) DO UPDATE
         SET rev = rev + 1, key_id = excluded.key_id, sealed = excluded.sealed,
             updated_at = excluded.updated_at
         RETURNING uuid, name, description, team_uuid, rev, key_id, created_at, updated_at",
    )
    .bind(name)
    .bind(uuid.to_string())
    .bind(key_id(sealed))
    .bind(sealed)
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?;
    raise_secret_rev(name, turn).await?;
    let opened = open_lanes(name, turn).await?;
    Ok((info(&row)?, opened))
}

async fn put(write: &SecretWrite, key: &MasterKey, turn: &mut Turn) -> Result<SecretPut, Fault> {
    let old = match &write.uuid {
        None => None,
        Some(uuid) => match find(uuid, turn).await? {
            None => return Ok(SecretPut::NotFound),
            found => found,
        },
    };
    if is_taken(write, turn).await? {
        return Ok(SecretPut::NameTaken);
    }
    let (sealed, affects) = match &old {
        None => (sealed(write, write.value.as_ref(), key)?, true),
        Some(old) => {
            (resealed(old, write, key)?, write.affects_lanes(&old.name, old.team_uuid.as_deref()))
        }
    };
    let row = match &write.uuid {
        None => insert(write, &sealed, turn).await?,
        Some(uuid) => replace(uuid, write, &sealed, turn).await?,
    };
    let mut opened = Vec::new();
    let renamed = old.as_ref().map(|old| &old.name).filter(|name| **name != write.name);
    for name in renamed.into_iter().chain([&write.name]).filter(|_| affects) {
        raise_secret_rev(name, turn).await?;
        opened.extend(open_lanes(name, turn).await?);
    }
    Ok(SecretPut::Written { secret: info(&row)?, opened })
}

/// What is there of a secret that is replaced.
struct Old {
    name: String,
    team_uuid: Option<String>,
    sealed: String,
}

async fn find(uuid: &str, turn: &mut Turn) -> Result<Option<Old>, Fault> {
    let found = sqlx::query("SELECT name, team_uuid, sealed FROM secrets WHERE uuid = ?1")
        .bind(uuid)
        .fetch_optional(&mut turn.conn)
        .await?;
    let old = |row: SqliteRow| {
        let (name, team_uuid) = (row.try_get("name")?, row.try_get("team_uuid")?);
        Ok(Old { name, team_uuid, sealed: row.try_get("sealed")? })
    };
    found.map(old).transpose()
}

async fn is_taken(write: &SecretWrite, turn: &mut Turn) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar("SELECT count(*) > 0 FROM secrets WHERE name = ?1 AND uuid IS NOT ?2")
        .bind(&write.name)
        .bind(&write.uuid)
        .fetch_one(&mut turn.conn)
        .await?)
}

fn sealed(
    write: &SecretWrite,
    value: Option<&SecretString>,
    key: &MasterKey,
) -> Result<String, Fault> {
    let value = value.map(ExposeSecret::expose_secret).unwrap_or_default();
    Ok(key.seal(Sealed::Secret, &write.name, value)?)
}

/// A value is sealed under its secret's name.
fn resealed(old: &Old, write: &SecretWrite, key: &MasterKey) -> Result<String, Fault> {
    match &write.value {
        None if write.name == old.name => Ok(old.sealed.clone()),
        None => sealed(write, Some(&key.open(Sealed::Secret, &old.name, &old.sealed)?), key),
        Some(value) => sealed(write, Some(value), key),
    }
}

async fn insert(write: &SecretWrite, sealed: &str, turn: &mut Turn) -> Result<SqliteRow, Fault> {
    let uuid = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    Ok(sqlx::query(
        "INSERT INTO secrets
             (name, uuid, rev, key_id, sealed, description, team_uuid, created_at, updated_at)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?7)
         RETURNING uuid, name, description, team_uuid, rev, key_id, created_at, updated_at",
    )
    .bind(&write.name)
    .bind(uuid.to_string())
    .bind(key_id(sealed))
    .bind(sealed)
    .bind(&write.description)
    .bind(&write.team_uuid)
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?)
}

async fn replace(
    uuid: &str,
    write: &SecretWrite,
    sealed: &str,
    turn: &mut Turn,
) -> Result<SqliteRow, Fault> {
    Ok(sqlx::query(
        "UPDATE secrets
         SET name = ?2, rev = rev + 1, key_id = ?3, sealed = ?4, description = ?5,
             team_uuid = ?6, updated_at = ?7
         WHERE uuid = ?1
         RETURNING uuid, name, description, team_uuid, rev, key_id, created_at, updated_at",
    )
    .bind(uuid)
    .bind(&write.name)
    .bind(key_id(sealed))
    .bind(sealed)
    .bind(&write.description)
    .bind(&write.team_uuid)
    .bind(turn.now)
    .fetch_one(&mut turn.conn)
    .await?)
}

/// Every lane that a webhook with this secret uses: its workers read the value again
/// (`HOLD_REV`).
async fn raise_secret_rev(name: &str, turn: &mut Turn) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE lanes SET secret_rev = secret_rev + 1, strikes = 0, strike_webhook = NULL
         WHERE id IN (SELECT w.lane_id FROM webhooks w, json_each(w.secret_names) n
                      WHERE w.state <> 'deleted' AND n.value = ?1)",
    )
    .bind(name)
    .execute(&mut turn.conn)
    .await?;
    Ok(())
}

/// A hold by hand stays (`RELEASE_GEN`).
async fn open_lanes(name: &str, turn: &mut Turn) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar(
        "UPDATE lanes
         SET hold_cause = NULL, held_total = held_total + max(0, ?2 - held_since),
             held_since = NULL, next_probe_at = NULL
         WHERE hold_cause <> 'manual'
           AND id IN (SELECT w.lane_id FROM webhooks w, json_each(w.secret_names) n
                      WHERE w.state <> 'deleted' AND n.value = ?1)
         RETURNING name",
    )
    .bind(name)
    .bind(turn.now)
    .fetch_all(&mut turn.conn)
    .await?)
}

/// Workers that keep the value must read it again to see that it is gone.
async fn delete(name: &str, turn: &mut Turn) -> Result<bool, Fault> {
    let deleted = sqlx::query("DELETE FROM secrets WHERE name = ?1")
        .bind(name)
        .execute(&mut turn.conn)
        .await?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    raise_secret_rev(name, turn).await?;
    Ok(true)
}
