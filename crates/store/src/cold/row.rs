//! A row of either database, read by column names.

use jiff::Timestamp;
use postrider_domain::Outcome;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::fault::Fault;
use crate::{StoreError, codec};

/// A row of what a statement answered.
#[derive(Debug)]
pub(crate) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    /// An integer of any width, if there is one.
    pub(crate) fn int_opt(&self, column: &str) -> Result<Option<i64>, Fault> {
        match self {
            Self::Postgres(row) => match row.try_get::<Option<i64>, _>(column) {
                Ok(number) => Ok(number),
                Err(_) => Ok(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
            },
            Self::Sqlite(row) => Ok(row.try_get(column)?),
        }
    }

    /// An integer of any width.
    pub(crate) fn int(&self, column: &str) -> Result<i64, Fault> {
        self.int_opt(column)?.ok_or_else(|| missing(column))
    }

    /// A count that fits what the facade says.
    pub(crate) fn count(&self, column: &str) -> Result<u32, Fault> {
        Ok(codec::count_of(self.int(column)?)?)
    }

    /// A count of rows.
    pub(crate) fn tally(&self, column: &str) -> Result<u64, Fault> {
        Ok(u64::try_from(self.int(column)?).unwrap_or(0))
    }

    /// A truth value, if there is one.
    pub(crate) fn is_opt(&self, column: &str) -> Result<Option<bool>, Fault> {
        Ok(match self {
            Self::Postgres(row) => row.try_get(column)?,
            Self::Sqlite(row) => row.try_get(column)?,
        })
    }

    /// A truth value; none is false.
    pub(crate) fn is(&self, column: &str) -> Result<bool, Fault> {
        Ok(self.is_opt(column)?.unwrap_or(false))
    }

    /// A text, if there is one.
    pub(crate) fn text_opt(&self, column: &str) -> Result<Option<&str>, Fault> {
        Ok(match self {
            Self::Postgres(row) => row.try_get(column)?,
            Self::Sqlite(row) => row.try_get(column)?,
        })
    }

    /// A text.
    pub(crate) fn text(&self, column: &str) -> Result<&str, Fault> {
        self.text_opt(column)?.ok_or_else(|| missing(column))
    }

    /// A text to keep.
    pub(crate) fn string(&self, column: &str) -> Result<String, Fault> {
        self.text(column).map(str::to_owned)
    }

    /// A text to keep, if there is one.
    pub(crate) fn string_opt(&self, column: &str) -> Result<Option<String>, Fault> {
        Ok(self.text_opt(column)?.map(str::to_owned))
    }

    /// An id, if there is one.
    pub(crate) fn uuid_opt(&self, column: &str) -> Result<Option<Uuid>, Fault> {
        Ok(match self {
            Self::Postgres(row) => row.try_get(column)?,
            Self::Sqlite(row) => row.try_get(column)?,
        })
    }

    /// An id.
    pub(crate) fn uuid(&self, column: &str) -> Result<Uuid, Fault> {
        self.uuid_opt(column)?.ok_or_else(|| missing(column))
    }

    /// An instant, if there is one.
    pub(crate) fn at_opt(&self, column: &str) -> Result<Option<Timestamp>, Fault> {
        match self {
            Self::Postgres(row) => {
                let at: Option<jiff_sqlx::Timestamp> = row.try_get(column)?;
                Ok(at.map(jiff_sqlx::Timestamp::to_jiff))
            }
            Self::Sqlite(row) => {
                let micros: Option<i64> = row.try_get(column)?;
                let instant = |micros| {
                    Timestamp::from_microsecond(micros).map_err(|_| {
                        StoreError::Corrupt(format!("{micros} microseconds is no instant"))
                    })
                };
                Ok(micros.map(instant).transpose()?)
            }
        }
    }

    /// An instant.
    pub(crate) fn at(&self, column: &str) -> Result<Timestamp, Fault> {
        self.at_opt(column)?.ok_or_else(|| missing(column))
    }

    /// A column that holds a list of texts.
    pub(crate) fn texts(&self, column: &str) -> Result<Vec<String>, Fault> {
        match self {
            Self::Postgres(row) => Ok(row.try_get(column)?),
            Self::Sqlite(row) => Ok(serde_json::from_str(row.try_get(column)?)?),
        }
    }

    /// An outcome, if there is one.
    pub(crate) fn outcome(&self, column: &str) -> Result<Option<Outcome>, Fault> {
        Ok(self.text_opt(column)?.map(codec::outcome).transpose()?)
    }

    /// An HTTP status, if there is one.
    pub(crate) fn status_code(&self, column: &str) -> Result<Option<u16>, Fault> {
        Ok(self.int_opt(column)?.map(codec::status_code).transpose()?)
    }
}

fn missing(column: &str) -> Fault {
    Fault::Store(StoreError::Corrupt(format!("no value in column {column}")))
}
