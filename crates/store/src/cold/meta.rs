//! The schema, and the key that seals what is stored.

use super::migrations::{MIGRATIONS, migrator, newest};
use super::query::{Dialect, Query};
use crate::seal::Sealed;
use crate::store::Backend;
use crate::{Schema, Store, StoreError};

/// What is sealed to tell later whether a master key is the same; of no meaning.
const CANARY: &str = "postrider";

const HAS_MIGRATIONS: &str = "select to_regclass('_sqlx_migrations') is not null as has";
const HAS_MIGRATIONS_SQLITE: &str =
    "select count(*) > 0 as has from sqlite_schema where name = '_sqlx_migrations'";

const APPLIED: &str = "select version from _sqlx_migrations where success order by version";

/// Seals it when nothing did yet.
const CANARY_OR: &str =
    "update meta set key_canary = coalesce(key_canary, $1) returning key_canary";

impl Store {
    /// How the schema compares with this binary's.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        let applied = self.applied().await?;
        let is_known = |version: &i64| MIGRATIONS.iter().any(|(known, ..)| known == version);
        if !applied.iter().all(is_known) {
            return Ok(Schema::Newer);
        }
        Ok(if applied.len() < MIGRATIONS.len() { Schema::Behind } else { Schema::Current })
    }

    /// Brings the schema up to date; names of the migrations that ran.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let (before, known) = (self.applied().await?, newest());
        if let Some(found) = before.iter().copied().find(|version| *version > known) {
            return Err(StoreError::NewerSchema { found, known });
        }
        let migrator = migrator(self.dialect());
        match &self.0 {
            Backend::Postgres(pg) => pg.run_migrations(&migrator).await?,
            Backend::Sqlite(lite) => lite.run_migrations(&migrator).await?,
        }
        let ran = MIGRATIONS.iter().filter(|(version, ..)| !before.contains(version));
        Ok(ran.map(|(_, name, ..)| (*name).to_owned()).collect())
    }

    async fn applied(&self) -> Result<Vec<i64>, StoreError> {
        let has = match self.dialect() {
            Dialect::Postgres => HAS_MIGRATIONS,
            Dialect::Sqlite => HAS_MIGRATIONS_SQLITE,
        };
        let row = self.row("has_migrations", &Query::new(has)).await?;
        if !row.map(|row| row.is("has")).transpose()?.unwrap_or(false) {
            return Ok(Vec::new());
        }
        let rows = self.rows("applied", &Query::new(APPLIED)).await?;
        Ok(rows.iter().map(|row| row.int("version")).collect::<Result<_, _>>()?)
    }

    /// Whether the master key opens what is stored; remembers its key id at first use.
    pub async fn check_key(&self) -> Result<(), StoreError> {
        let fresh = self.key().seal(Sealed::Canary, "", CANARY)?;
        let kept = self.changed("check_key", Query::new(CANARY_OR).bind(fresh)).await?;
        let kept = kept.first().ok_or_else(|| StoreError::Corrupt("no key check".to_owned()))?;
        self.key().open(Sealed::Canary, "", kept.text("key_canary")?).map(drop)
    }
}
