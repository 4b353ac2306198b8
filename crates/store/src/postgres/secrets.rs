//! Secrets, sealed at rest; L5: a new value opens the lanes that waited for it.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Transaction};

use super::Pg;
use super::fragments::release;
use super::rows::{at, fault, get};
use crate::seal::Sealed;
use crate::{SecretInfo, SecretValues, StoreError};

const PUT: &str = "
insert into secrets as s (name, sealed, key_id) values ($1, $2, $3)
on conflict (name) do update set sealed = excluded.sealed, key_id = excluded.key_id,
    rev = s.rev + 1, updated_at = now()
returning uuid, name, rev, key_id, created_at, updated_at";

const LIST: &str = "
select uuid, name, rev, key_id, created_at, updated_at from secrets order by name";

const DELETE: &str = "delete from secrets where name = $1";

const VALUES: &str = "select name, sealed from secrets where name = any($1)";

/// Locks the lanes that use a secret, in id order.
const LANES: &str = "
select l.id, l.name, l.hold_cause is not null and l.hold_cause <> 'manual' as opens
from lanes l
where l.id in (select lane_id from webhooks where $1 = any(secret_names) and state <> 'deleted')
order by l.id
for update";

/// Workers reload the value, and refusals of the old one hold nothing any more (HOLD_REV).
const NEW_REV: &str = "
update lanes set secret_rev = secret_rev + 1, strikes = 0, strike_webhook = null
where id = any($1)";

const OPEN: &str = concat!("update lanes l set ", release!(), " where l.id = any($1)");

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("put_secret", PUT),
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
        let lanes = new_secret_rev(&mut tx, name).await?;
        let (ids, names): (Vec<i64>, Vec<String>) =
            lanes.into_iter().filter(|lane| lane.opens).map(|lane| (lane.id, lane.name)).unzip();
        sqlx::query(OPEN).bind(ids).execute(&mut *tx).await.map_err(fault)?;
        let row = sqlx::query(PUT)
            .bind(name)
            .bind(sealed)
            .bind(self.key.id())
            .fetch_one(&mut *tx)
            .await
            .map_err(fault)?;
        tx.commit().await.map_err(fault)?;
        Ok((info(&row)?, names))
    }

    pub(crate) async fn secrets(&self) -> Result<Vec<SecretInfo>, StoreError> {
        let rows = sqlx::query(LIST).fetch_all(&self.pool).await.map_err(fault)?;
        rows.iter().map(info).collect()
    }

    pub(crate) async fn delete_secret(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await.map_err(fault)?;
        new_secret_rev(&mut tx, name).await?;
        let deleted = sqlx::query(DELETE).bind(name).execute(&mut *tx).await.map_err(fault)?;
        tx.commit().await.map_err(fault)?;
        Ok(deleted.rows_affected() > 0)
    }

    pub(crate) async fn secret_values(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<SecretValues, StoreError> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows = sqlx::query(VALUES).bind(names).fetch_all(&self.pool).await.map_err(fault)?;
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

async fn new_secret_rev(tx: &mut Tx, secret: &str) -> Result<Vec<UsingLane>, StoreError> {
    let rows = sqlx::query(LANES).bind(secret).fetch_all(&mut **tx).await.map_err(fault)?;
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
        uuid: get::<uuid::Uuid, _>(row, "uuid")?.to_string(),
        name: get(row, "name")?,
        rev: get(row, "rev")?,
        key_id: get(row, "key_id")?,
        created_at: at(row, "created_at")?,
        updated_at: at(row, "updated_at")?,
    })
}
