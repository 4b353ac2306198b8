//! What the database does with a session whose client is gone without a word, so that nobody waits
//! for its locks.
//!
//! Its timeouts cover a client that is lost between statements or while one runs. One case is
//! left: the statement has run, the end of the request never comes. No timeout of Postgres before
//! 17 counts then, and keep-alive packets notice nothing where something between the two, a pooler
//! or a balancer, keeps the connection open. So whoever waits in vain for a lock looks for such
//! sessions and ends them.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::timeout;

use super::fault::is_lock_timeout;

/// How long a look may take.
const LOOK: Duration = Duration::from_millis(250);

/// Sessions of ours that have waited in the middle of a request for longer than any step lasts.
/// A role may end its own sessions without any further privilege.
const END_HALF_TOLD: &str = "
select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and usename = current_user
    and application_name = current_setting('application_name') and pid <> pg_backend_pid()
    and state = 'active' and wait_event = 'ClientRead'
    and state_change < clock_timestamp() - interval '5 seconds'";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("end_half_told", END_HALF_TOLD)];

/// From version 14 on, and on most systems, the database can look every other second whether
/// the client of a running statement is still there: what a dead worker locked is free then.
pub(super) async fn notice(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    if conn.server_version_num().is_none_or(|version| version < 140_000) {
        return Ok(());
    }
    let set = sqlx::query("set client_connection_check_interval = 2000").execute(conn).await;
    match set {
        Err(sqlx::Error::Database(refused)) => {
            tracing::debug!(%refused, "store.client_check_refused");
            Ok(())
        }
        done => done.map(drop),
    }
}

/// After a lock was not to be had in time: frees what lost clients hold. To fail is no harm, as
/// the next one who waits looks again.
pub(super) async fn let_go(conn: &mut PgConnection, error: &sqlx::Error) {
    if !is_lock_timeout(error) {
        return;
    }
    let look = sqlx::query_scalar::<_, i64>(END_HALF_TOLD).fetch_one(conn);
    match timeout(LOOK, look).await {
        Ok(Ok(1..)) => tracing::warn!("store.lost_client_ended"),
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "store.lost_clients_unseen"),
        Err(_) => tracing::debug!(error = "no answer", "store.lost_clients_unseen"),
    }
}
