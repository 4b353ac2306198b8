//! The part of the store that is written once for both databases: what people, the monitor and
//! settings ask for. Statements are [`Query`]s; `hot` holds what each database does in its own
//! way because deliveries wait for it.
//!
//! Reads and changes here run on connections of their own, with fifteen seconds; the few that
//! deliveries need too run where deliveries run.

mod access_path;
mod audit;
pub(crate) mod bulk;
mod changes;
mod credentials;
mod digest;
mod events;
pub(crate) mod executions;
mod hours;
mod incident_row;
pub(crate) mod incidents;
pub(crate) mod lanes;
mod learned;
pub(crate) mod limits;
pub(crate) mod list;
mod looked;
mod merged;
mod meta;
pub(crate) mod migrations;
mod monitor_lease;
pub(crate) mod notifications;
mod pace;
pub(crate) mod pairs;
pub(crate) mod parked;
mod pending;
pub(crate) mod prune;
pub(crate) mod query;
mod relays;
pub(crate) mod revisions;
pub(crate) mod row;
mod runs;
pub(crate) mod secrets;
mod tasks;
mod told_debts;
mod watch;
pub(crate) mod webhooks;
mod webhooks_version;

use futures_util::future::BoxFuture;
use sqlx::{Connection, PgConnection};

use crate::fault::Fault;
use crate::hot::sqlite::Turn;
use crate::store::Backend;
use crate::{MasterKey, Store, StoreError, Total};
use query::{Dialect, Query};
use row::Row;

/// The connection of a change, inside its transaction.
pub(crate) enum Tx<'t> {
    Postgres(&'t mut PgConnection),
    Sqlite(&'t mut Turn),
}

impl Tx<'_> {
    /// The same connection, for a part of the transaction.
    pub(crate) fn again(&mut self) -> Tx<'_> {
        match self {
            Self::Postgres(conn) => Tx::Postgres(conn),
            Self::Sqlite(turn) => Tx::Sqlite(turn),
        }
    }

    /// All rows that a statement answers.
    pub(crate) async fn rows(&mut self, query: &Query) -> Result<Vec<Row>, Fault> {
        match self {
            Self::Postgres(conn) => postgres_rows(conn, query).await,
            Self::Sqlite(turn) => {
                let rows = query.at(turn.now)?.fetch_all(&mut turn.conn).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// The first of them.
    pub(crate) async fn row(&mut self, query: &Query) -> Result<Option<Row>, Fault> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// The first of them, which has to be there.
    pub(crate) async fn one(&mut self, query: &Query) -> Result<Row, Fault> {
        self.row(query).await?.ok_or(Fault::Sql(sqlx::Error::RowNotFound))
    }

    /// How many rows a statement changed.
    pub(crate) async fn run(&mut self, query: &Query) -> Result<u64, Fault> {
        Ok(match self {
            Self::Postgres(conn) => query.postgres().execute(&mut **conn).await?.rows_affected(),
            Self::Sqlite(turn) => {
                query.at(turn.now)?.execute(&mut turn.conn).await?.rows_affected()
            }
        })
    }
}

async fn postgres_rows(conn: &mut PgConnection, query: &Query) -> Result<Vec<Row>, Fault> {
    let rows = query.postgres().fetch_all(conn).await?;
    Ok(rows.into_iter().map(Row::Postgres).collect())
}

impl Store {
    /// Which SQL is spoken.
    pub(crate) fn dialect(&self) -> Dialect {
        match &self.0 {
            Backend::Postgres(_) => Dialect::Postgres,
            Backend::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// The key that seals what is stored.
    pub(crate) fn key(&self) -> &MasterKey {
        match &self.0 {
            Backend::Postgres(pg) => pg.key(),
            Backend::Sqlite(lite) => lite.key(),
        }
    }

    /// All rows that a read answers.
    pub(crate) async fn rows(
        &self,
        name: &'static str,
        query: &Query,
    ) -> Result<Vec<Row>, StoreError> {
        match &self.0 {
            Backend::Postgres(pg) => {
                pg.ask(name, |conn| Box::pin(async move { postgres_rows(conn, query).await })).await
            }
            Backend::Sqlite(lite) => lite.read(name, query).await,
        }
    }

    /// The first of them.
    pub(crate) async fn row(
        &self,
        name: &'static str,
        query: &Query,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(name, query).await?.into_iter().next())
    }

    /// How many rows a statement found, whose last value is how many it looks for at most.
    pub(crate) async fn counted(
        &self,
        name: &'static str,
        query: Query,
    ) -> Result<Total, StoreError> {
        let most = i64::try_from(Total::MOST + 1).unwrap_or(i64::MAX);
        let row = self.row(name, &query.bind(most)).await?;
        Ok(Total::of(row.map(|row| row.tally("found")).transpose()?.unwrap_or_default()))
    }

    /// As [`Store::rows`], for a read that deliveries wait for.
    pub(crate) async fn served(
        &self,
        name: &'static str,
        query: &Query,
    ) -> Result<Vec<Row>, StoreError> {
        match &self.0 {
            Backend::Postgres(pg) => {
                pg.step(name, |conn| Box::pin(async move { postgres_rows(conn, query).await }))
                    .await
            }
            Backend::Sqlite(lite) => lite.read(name, query).await,
        }
    }

    /// How many rows a statement changed.
    pub(crate) async fn run(&self, name: &'static str, query: Query) -> Result<u64, StoreError> {
        self.change(name, query, |query, mut tx| Box::pin(async move { tx.run(query).await })).await
    }

    /// All rows that a statement changed and answers.
    pub(crate) async fn changed(
        &self,
        name: &'static str,
        query: Query,
    ) -> Result<Vec<Row>, StoreError> {
        self.change(name, query, |query, mut tx| Box::pin(async move { tx.rows(query).await }))
            .await
    }

    /// One transaction. `work` may run several times, as one that loses a conflict is repeated.
    /// What it answers is committed, an error undoes it.
    pub(crate) async fn change<A, T, F>(
        &self,
        name: &'static str,
        args: A,
        work: F,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t A, Tx<'t>) -> BoxFuture<'t, Result<T, Fault>> + Send + Sync + 'static,
    {
        match &self.0 {
            Backend::Postgres(pg) => {
                let (args, work) = (&args, &work);
                pg.ask(name, |conn| {
                    Box::pin(async move {
                        let mut tx = conn.begin().await?;
                        let done = work(args, Tx::Postgres(&mut tx)).await?;
                        tx.commit().await?;
                        Ok::<_, Fault>(done)
                    })
                })
                .await
            }
            Backend::Sqlite(lite) => {
                lite.write((args, work), |(args, work), turn| work(args, Tx::Sqlite(turn))).await
            }
        }
    }
}
