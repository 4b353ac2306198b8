//! The statements of the bare pipeline: the writes that the design can't do without.

use anyhow::Result;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection, Executor, Row};
use uuid::Uuid;

/// No index sees a status, and half of each page of deliveries is free: claims are HOT updates.
const SCHEMA: &str = "
create table events (
    id uuid primary key, name text not null, body text not null,
    received_at timestamptz not null);
create table idempotency (
    key text primary key, event_id uuid not null, at timestamptz not null);
create table deliveries (
    id uuid primary key, event_id uuid not null, webhook_id bigint not null,
    status text not null, attempt int not null, due_at timestamptz, claimed_until timestamptz,
    possible_duplicate boolean not null, last_status int, last_outcome text,
    created_at timestamptz not null, finished_at timestamptz) with (fillfactor = 50);
create index on deliveries (due_at) where due_at is not null;
create table attempts (
    delivery_id uuid, attempt int, worker uuid not null, outcome text not null,
    http_status int, duration_us bigint not null, finished_at timestamptz not null,
    primary key (delivery_id, attempt));";

const INTAKE: &str = "
with i as (
    select * from unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[])
        as i (key, event_id, body, id)),
k as (
    insert into idempotency (key, event_id, at) select key, event_id, now() from i
    on conflict do nothing returning event_id),
e as (
    insert into events (id, name, body, received_at)
    select i.event_id, 'contract_requiring_verification_published', i.body, now()
    from i join k using (event_id))
insert into deliveries (id, event_id, webhook_id, status, attempt, due_at, possible_duplicate,
    created_at)
select i.id, i.event_id, 1, 'queued', 0, now() + interval '120 s', false, now()
from i join k using (event_id)
returning id";

const CLAIM: &str = "
update deliveries d
set status = 'sending', attempt = d.attempt + 1, claimed_until = now() + interval '20 s'
from events e
where d.id = any($1) and d.status = 'queued' and e.id = d.event_id
returning d.id, d.attempt, e.body";

const RECORD: &str = "
with u as (
    select * from unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::bigint[])
        as u (id, attempt, outcome, http_status, duration_us)),
g as (
    update deliveries d
    set status = 'delivered', due_at = null, finished_at = now(), last_status = u.http_status,
        last_outcome = u.outcome
    from u where d.id = u.id and d.attempt = u.attempt and d.status = 'sending'
    returning d.id)
insert into attempts (delivery_id, attempt, worker, outcome, http_status, duration_us, finished_at)
select u.id, u.attempt, $6, u.outcome, u.http_status, u.duration_us, now() from u";

/// An event on its way in.
pub(super) struct Incoming {
    pub(super) body: String,
}

/// A claimed delivery.
pub(super) struct Claimed {
    pub(super) id: Uuid,
    pub(super) attempt: i32,
    pub(super) body: String,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) id: Uuid,
    pub(super) attempt: i32,
    pub(super) status: u16,
    pub(super) duration_us: i64,
}

/// Makes the tables in an empty database.
pub(crate) async fn create_schema(url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// One connection, for one kind of statement.
pub(super) struct Store(PgConnection);

impl Store {
    pub(super) async fn connect(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.options([("plan_cache_mode", "force_custom_plan")]);
        let mut connection = PgConnection::connect_with(&options).await?;
        connection.execute("select 1").await?;
        Ok(Self(connection))
    }

    /// Commits events; the deliveries' ids.
    pub(super) async fn intake(&mut self, events: &[Incoming]) -> Result<Vec<Uuid>> {
        let ids = || events.iter().map(|_| Uuid::now_v7()).collect::<Vec<Uuid>>();
        let event_ids = ids();
        let keys: Vec<String> = event_ids.iter().map(ToString::to_string).collect();
        let bodies: Vec<&str> = events.iter().map(|event| event.body.as_str()).collect();
        let query = sqlx::query_scalar(INTAKE).bind(keys).bind(event_ids).bind(bodies).bind(ids());
        Ok(query.fetch_all(&mut self.0).await?)
    }

    pub(super) async fn claim(&mut self, ids: &[Uuid]) -> Result<Vec<Claimed>> {
        let rows = sqlx::query(CLAIM).bind(ids).fetch_all(&mut self.0).await?;
        rows.iter().map(claimed).collect()
    }

    /// Records outcomes and attempts.
    pub(super) async fn record(&mut self, worker: Uuid, outcomes: &[Outcome]) -> Result<()> {
        let ids: Vec<Uuid> = outcomes.iter().map(|outcome| outcome.id).collect();
        let attempts: Vec<i32> = outcomes.iter().map(|outcome| outcome.attempt).collect();
        let names = vec!["accepted"; outcomes.len()];
        let statuses: Vec<i32> = outcomes.iter().map(|outcome| outcome.status.into()).collect();
        let durations: Vec<i64> = outcomes.iter().map(|outcome| outcome.duration_us).collect();
        let query = sqlx::query(RECORD).bind(ids).bind(attempts).bind(names).bind(statuses);
        query.bind(durations).bind(worker).execute(&mut self.0).await?;
        Ok(())
    }
}

fn claimed(row: &PgRow) -> Result<Claimed> {
    Ok(Claimed { id: row.try_get(0)?, attempt: row.try_get(1)?, body: row.try_get(2)? })
}
