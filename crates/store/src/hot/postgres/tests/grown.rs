//! What people, the monitor and retention ask for reads little of a large table.

use jiff::Timestamp;
use sqlx::Row;

use super::*;
use crate::cold::query::Query;
use crate::cold::{lanes, prune};

/// A hundred lanes with ten thousand deliveries, of which half are open; fifty thousand keys.
const FILL: &str = "
insert into limits (name, limited, burst, concurrency)
select 'h' || n || '/none', false, 1, 64 from generate_series(1, 100) n;
insert into lanes (name, limited, limit_id) select name, limited, id from limits;
insert into deliveries (id, event_id, webhook_id, lane_id, next_at, updated_at)
select md5('d' || n)::uuid, md5('e' || n)::uuid, 1, 1 + n % 100,
    case when n % 2 = 0 then now() + (n % 7200 - 3600) * interval '1 second' end,
    now() - interval '40 days'
from generate_series(1, 20000) n;
insert into idempotency (key, event_id, fingerprint, at)
select md5('k' || n), md5('e' || n)::uuid, '', now() - n % 600 * interval '1 hour'
from generate_series(1, 50000) n";

async fn grown() -> (String, PostgresStore, PgConnection) {
    let (name, pg) = fresh().await;
    let mut conn = connect(&name).await;
    conn.execute(FILL).await.unwrap();
    for table in ["deliveries", "idempotency", "lanes", "events"] {
        vacuum(&mut conn, table).await;
    }
    (name, pg, conn)
}

/// Until every page of it is known to be visible to all, without which no index alone answers:
/// a connection that any other test opens right now holds that back for a moment, for until it
/// has chosen its database it counts in all of them.
async fn vacuum(conn: &mut PgConnection, table: &str) {
    const LOOK: &str = "select relpages = relallvisible from pg_class where oid = $1::regclass";
    for _ in 0..100 {
        conn.execute(AssertSqlSafe(format!("vacuum (analyze) {table}"))).await.unwrap();
        let seen = sqlx::query(LOOK).bind(table).fetch_one(&mut *conn).await.unwrap();
        if seen.get(0) {
            return;
        }
    }
    panic!("{table}: somebody holds back what vacuum may mark");
}

async fn plan(
    conn: &mut PgConnection,
    text: &'static str,
    bind: impl FnOnce(Query) -> Query,
) -> String {
    let mut query = Query::new("explain ");
    query.push(text);
    let rows = bind(query).postgres().fetch_all(conn).await.unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

/// At a million that wait, reading each of them took more than a second.
#[tokio::test]
async fn what_waits_in_lanes_is_counted_in_the_index() {
    let (name, pg, mut conn) = grown().await;
    let ids: Vec<i64> = (1..=100).collect();
    let plan =
        plan(&mut conn, lanes::BACKLOGS, |query| query.bind(ids).bind(10_000_i64).bind(500_i64));
    let plan = plan.await;
    drop(conn);
    remove(name, pg).await;
    assert!(plan.contains("Index Only Scan using deliveries_next"), "{plan}");
    assert!(!plan.contains("Seq Scan on deliveries"), "{plan}");
}

/// Each chunk of ten million keys read all of them.
#[tokio::test]
async fn keys_are_walked_by_their_age() {
    let (name, pg, mut conn) = grown().await;
    let (first, last) = (Timestamp::UNIX_EPOCH, Timestamp::now());
    let look = plan(&mut conn, prune::KEYS, |query| query.bind(first).bind(last).bind(2_000_i64));
    let look = look.await;
    let hour = last.checked_sub(jiff::SignedDuration::from_mins(1)).unwrap();
    let drop_them = plan(&mut conn, prune::DROP_KEYS, |query| query.bind(hour).bind(last)).await;
    drop(conn);
    remove(name, pg).await;
    for plan in [&look, &drop_them] {
        assert!(plan.contains("idempotency_age"), "{plan}");
        assert!(!plan.contains("Seq Scan on idempotency"), "{plan}");
    }
    assert!(!look.contains("Sort"), "{look}");
}
