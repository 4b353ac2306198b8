//! A statement that both databases understand, with its values.
//!
//! The text is SQL as both speak it, parameters `$1`, `$2`, ..., and these tokens where they
//! differ:
//!
//! | token | means |
//! |---|---|
//! | `{now}` | the database's clock |
//! | `{now+ms:$n}`, `{now-ms:$n}` | so many milliseconds later, earlier |
//! | `{in:$n}`, `{notin:$n}` | is, is not among a list |
//! | `{lock}`, `{skip}` | rows are locked until the end; those that others have locked are left out |
//! | `{each:c}` | a table `item (value)` of what the list in column `c` holds |
//! | `{of_event}` | delivery `d` is one of event `e` |
//! | `{made}` | how many deliveries event `e` led to |
//! | `{consumer_version}`, `{provider_version}` | what event `e` says of them |
//! | `{delivery_ids}`, `{delivery_ids:$n}` | in an insert into `events`: the column, and the value, that name its deliveries |
//! | `{attempt_ms}` | how long an attempt took, milliseconds |
//! | `{aside}` | from this instant on, deliveries of parked webhooks stand aside |
//! | `{by:i}` | the index `i` is to be used, where the planner does not find it by itself |

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use postrider_domain::{DeliveryId, EventId, WebhookId};
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Postgres, Sqlite};
use uuid::Uuid;

use crate::codec;
use crate::fault::Fault;

/// How long a statement may run that a person or the monitor asked for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Sqlite,
}

/// A value of a statement; each knows its type, so that a missing one has it too.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Uuid(Option<Uuid>),
    At(Option<Timestamp>),
    Bytes(Vec<u8>),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    Uuids(Vec<Uuid>),
}

macro_rules! values {
    ($($from:ty => |$value:ident| $made:expr;)*) => { $(
        impl From<$from> for Value {
            fn from($value: $from) -> Self { $made }
        }
    )* };
}

values! {
    i64 => |n| Self::Int(Some(n));
    u32 => |n| Self::Int(Some(n.into()));
    Option<i64> => |n| Self::Int(n);
    Duration => |length| Self::Int(Some(codec::millis(length)));
    bool => |is| Self::Bool(Some(is));
    Option<bool> => |is| Self::Bool(is);
    &str => |text| Self::Text(Some(text.to_owned()));
    String => |text| Self::Text(Some(text));
    &String => |text| Self::Text(Some(text.clone()));
    Option<&str> => |text| Self::Text(text.map(str::to_owned));
    Option<String> => |text| Self::Text(text);
    &Option<String> => |text| Self::Text(text.clone());
    Uuid => |id| Self::Uuid(Some(id));
    Option<Uuid> => |id| Self::Uuid(id);
    DeliveryId => |id| Self::Uuid(Some(id.0));
    EventId => |id| Self::Uuid(Some(id.0));
    WebhookId => |id| Self::Int(Some(id.0));
    Timestamp => |at| Self::At(Some(at));
    Option<Timestamp> => |at| Self::At(at);
    Vec<u8> => |bytes| Self::Bytes(bytes);
    Vec<i64> => |list| Self::Ints(list);
    Vec<String> => |list| Self::Texts(list);
    Vec<Uuid> => |list| Self::Uuids(list);
}

/// A statement with its values.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

impl Query {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), values: Vec::new() }
    }

    /// The statement with the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Appends text of this program.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Appends text in which `$` stands for a value.
    pub(crate) fn push_with(&mut self, text: &str, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let number = format!("${}", self.values.len());
        self.push(&text.replace('$', &number))
    }

    /// Appends another statement's text and values.
    pub(crate) fn push_query(&mut self, other: &Self) {
        let mut rest = &*other.text;
        while let Some((before, after)) = rest.split_once('$') {
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, after) = after.split_at(digits);
            let number = number.parse::<usize>().unwrap_or_default() + self.values.len();
            self.push(before).push("$").push(&number.to_string());
            rest = after;
        }
        self.push(rest);
        self.values.extend_from_slice(&other.values);
    }

    /// Appends rows of values: `(..), (..)`.
    pub(crate) fn push_rows<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value; N]>) {
        for (index, row) in rows.into_iter().enumerate() {
            self.push(if index == 0 { "(" } else { ", (" });
            for (column, value) in row.into_iter().enumerate() {
                self.push_with(if column == 0 { "$" } else { ", $" }, value);
            }
            self.push(")");
        }
    }

    /// The text as this database understands it. SQLite's clock is one more value.
    pub(crate) fn text(&self, dialect: Dialect) -> String {
        let clock = format!("${}", self.values.len() + 1);
        let mut text = String::with_capacity(self.text.len());
        let mut rest = &*self.text;
        while let Some((before, token)) = rest.split_once('{') {
            let (token, after) = token.split_once('}').unwrap_or((token, ""));
            text.push_str(before);
            match dialect {
                Dialect::Postgres => postgres(token, &mut text),
                Dialect::Sqlite => self.sqlite(token, &clock, &mut text),
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }

    fn sqlite(&self, token: &str, clock: &str, text: &mut String) {
        let (name, of) = token.split_once(':').unwrap_or((token, ""));
        let part = match name {
            "now" => clock.to_owned(),
            "now+ms" => format!("({clock} + {of} * 1000)"),
            "now-ms" => format!("({clock} - {of} * 1000)"),
            "in" => format!("in ({})", self.listed(of)),
            "notin" => format!("not in ({})", self.listed(of)),
            "each" => format!("json_each({of}) as item"),
            "of_event" => "d.event_id = e.id".to_owned(),
            "made" => "(select count(*) from deliveries o where o.event_id = e.id)".to_owned(),
            "consumer_version" => "json_extract(e.body, '$.consumer.version_number')".to_owned(),
            "provider_version" => "json_extract(e.body, '$.provider.version_number')".to_owned(),
            "attempt_ms" => "duration / 1000".to_owned(),
            "aside" => codec::ASIDE.to_string(),
            "by" => format!("indexed by {of}"),
            _ => String::new(),
        };
        text.push_str(&part);
    }

    fn listed(&self, parameter: &str) -> String {
        let number = parameter.trim_start_matches('$').parse::<usize>().unwrap_or_default();
        let value = number.checked_sub(1).and_then(|index| self.values.get(index));
        let element =
            if matches!(value, Some(Value::Uuids(_))) { "unhex(value, '-')" } else { "value" };
        format!("select {element} from json_each({parameter})")
    }

    pub(crate) fn postgres(&self) -> sqlx::query::Query<'_, Postgres, PgArguments> {
        let query = sqlx::query(AssertSqlSafe(self.text(Dialect::Postgres)));
        self.values.iter().fold(query.persistent(self.is_constant()), |query, value| match value {
            Value::Int(n) => query.bind(*n),
            Value::Bool(is) => query.bind(*is),
            Value::Text(text) => query.bind(text),
            Value::Uuid(id) => query.bind(*id),
            Value::At(at) => query.bind(at.map(ToSqlx::to_sqlx)),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Ints(list) => query.bind(list),
            Value::Texts(list) => query.bind(list),
            Value::Uuids(list) => query.bind(list),
        })
    }

    /// At `now`, microseconds since the epoch.
    pub(crate) fn at(
        &self,
        now: i64,
    ) -> Result<sqlx::query::Query<'_, Sqlite, SqliteArguments>, Fault> {
        let mut query = sqlx::query(AssertSqlSafe(self.text(Dialect::Sqlite)));
        query = query.persistent(self.is_constant());
        for value in &self.values {
            query = match value {
                Value::Int(n) => query.bind(*n),
                Value::Bool(is) => query.bind(*is),
                Value::Text(text) => query.bind(text),
                Value::Uuid(id) => query.bind(*id),
                Value::At(at) => query.bind(at.map(Timestamp::as_microsecond)),
                Value::Bytes(bytes) => query.bind(bytes),
                Value::Ints(list) => query.bind(serde_json::to_string(list)?),
                Value::Texts(list) => query.bind(serde_json::to_string(list)?),
                Value::Uuids(list) => query.bind(serde_json::to_string(list)?),
            };
        }
        Ok(query.bind(now))
    }

    /// Statements that are put together would push constant ones out of the connection's cache.
    fn is_constant(&self) -> bool {
        matches!(self.text, Cow::Borrowed(_))
    }
}

fn postgres(token: &str, text: &mut String) {
    let (name, of) = token.split_once(':').unwrap_or((token, ""));
    let part = match name {
        "now" => "now()".to_owned(),
        "now+ms" => format!("(now() + {of} * interval '1 millisecond')"),
        "now-ms" => format!("(now() - {of} * interval '1 millisecond')"),
        "in" => format!("= any({of})"),
        "notin" => format!("<> all({of})"),
        "lock" => "for update".to_owned(),
        "skip" => "for update skip locked".to_owned(),
        "each" => format!("unnest({of}) as item (value)"),
        "of_event" => "d.id = any(e.delivery_ids)".to_owned(),
        "made" => "cardinality(e.delivery_ids)".to_owned(),
        "consumer_version" => "(e.body::jsonb #>> '{consumer,version_number}')".to_owned(),
        "provider_version" => "(e.body::jsonb #>> '{provider,version_number}')".to_owned(),
        "delivery_ids" if of.is_empty() => ", delivery_ids".to_owned(),
        "delivery_ids" => format!(", array[{of}]"),
        "attempt_ms" => "duration_ms".to_owned(),
        "aside" => "timestamptz '3000-01-01 00:00:00+00'".to_owned(),
        _ => String::new(),
    };
    text.push_str(&part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_become_what_the_database_speaks() {
        let query = Query::new("update t set at = {now+ms:$2} where id {in:$1} {lock}")
            .bind(vec![Uuid::nil()])
            .bind(5_i64);
        assert_eq!(
            query.text(Dialect::Postgres),
            "update t set at = (now() + $2 * interval '1 millisecond') where id = any($1) for update"
        );
        assert_eq!(
            query.text(Dialect::Sqlite),
            "update t set at = ($3 + $2 * 1000) where id in \
             (select unhex(value, '-') from json_each($1)) "
        );
    }

    #[test]
    fn rows_are_numbered_on() {
        let mut query = Query::new("insert into t values ");
        query.push_rows([[1_i64.into(), "a".into()], [2_i64.into(), "b".into()]]);
        query.push_with(" returning $", true);
        assert_eq!(
            query.text(Dialect::Postgres),
            "insert into t values ($1, $2), ($3, $4) returning $5"
        );
    }
}
