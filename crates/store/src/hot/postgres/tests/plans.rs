//! Plans for any values can't go bad: whatever the tables held when a plan was made, it reads
//! large tables through an index and by a condition, and sorts nothing large.

use serde_json::Value;

use super::*;

/// Tables that grow with deliveries.
const LARGE: [&str; 4] = ["deliveries", "events", "attempts", "idempotency"];
/// Tables that grow with webhooks.
const GROWING: [&str; 4] = ["webhooks", "webhook_health", "lanes", "limits"];

/// Statements that go over all of a growing table by their nature.
const WALKS: [(&str, &str); 10] = [
    ("expire", "lanes"),
    ("reassign_lanes", "lanes"),
    ("discard", "lanes"),
    ("swept", "lanes"),
    ("swept", "webhooks"),
    ("needs_sweep", "webhooks"),
    ("count_unclaimed", "lanes"),
    ("has_orphans", "lanes"),
    ("unclaim_limited", "lanes"),
    ("end_leases_ahead", "limits"),
];

/// Run after a failure only, and sort what one worker has claimed.
const SORTS: [&str; 2] = ["unclaim_due", "unclaim_limited"];

/// What runs with plans for any values.
fn hot_statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    let others = [
        "poll_those",
        "poll_page",
        "release_probed",
        "pause",
        "webhook_of_lane",
        "has_orphans",
        "webhooks_by_id",
        "beat",
        "end_leases_ahead",
    ];
    let named = statements().filter(move |(name, _)| others.contains(name));
    let modules = [
        probe_delivery::STATEMENTS,
        claims::STATEMENTS,
        claims_limited::STATEMENTS,
        intake::STATEMENTS,
        janitor::STATEMENTS,
        leases::STATEMENTS,
        record::STATEMENTS,
        unclaim::STATEMENTS,
    ];
    modules.into_iter().flatten().copied().chain(named)
}

/// How many parameters a statement has.
fn parameters(sql: &str) -> usize {
    (1..=40).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0)
}

/// What is wrong with one statement's plan.
struct Judge<'a> {
    statement: &'a str,
    wrong: Vec<String>,
}

/// Where in the plan a node stands.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Everything below is kept or sorted before anything of it goes on.
    gathers: bool,
    /// Not more than a few rows are taken from below.
    limited: bool,
}

impl Judge<'_> {
    fn node(&mut self, plan: &Value, place: Place) {
        let kind = plan["Node Type"].as_str().unwrap_or_default();
        let place = match (plan["Parent Relationship"].as_str(), kind) {
            // A part of its own: its own limits count.
            (Some("InitPlan" | "SubPlan"), _) => Place::default(),
            _ => place,
        };
        self.scan(kind, plan, place);
        let below = match kind {
            "Limit" => Place { gathers: false, limited: true },
            "Sort" | "Incremental Sort" | "Hash" | "Materialize" | "Aggregate" | "WindowAgg"
            | "Unique" | "SetOp" => Place { gathers: true, limited: false },
            _ => place,
        };
        for child in plan["Plans"].as_array().into_iter().flatten() {
            self.node(child, below);
        }
    }

    fn scan(&mut self, kind: &str, plan: &Value, place: Place) {
        let index = plan["Index Name"].as_str();
        let relation = plan["Relation Name"].as_str().or(index).unwrap_or_default();
        let of = |tables: &[&'static str]| {
            let longest = tables.iter().filter(|table| relation.starts_with(**table));
            longest.max_by_key(|table| table.len()).copied()
        };
        let (large, growing) = (of(&LARGE), of(&GROWING));
        let Some(table) = large.or(growing) else { return };
        let may_sort = SORTS.contains(&self.statement);
        let is_walk = WALKS.contains(&(self.statement, table));
        let has_condition = plan.get("Index Cond").is_some();
        let by_key = index.is_some_and(|index| index.ends_with("_pkey")) && has_condition;
        let wrong = match kind {
            "Seq Scan" => (!is_walk).then_some("is read from end to end"),
            "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => {
                if !has_condition && !place.limited && !is_walk {
                    Some("is read whole through an index")
                } else if large.is_some() && place.gathers && !by_key && !may_sort {
                    Some("is gathered or sorted")
                } else {
                    None
                }
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.wrong.push(format!("{}: {relation} {wrong} ({kind})", self.statement));
        }
    }
}

const FILL: &str = "
alter table deliveries set (autovacuum_enabled = false);
alter table events set (autovacuum_enabled = false);
insert into limits (name, limited, burst, concurrency)
select 'h' || n || '/none', n % 3 = 0, 1, 64 from generate_series(1, $LANES) n;
insert into lanes (name, limited, burst, concurrency, limit_id)
select name, limited, burst, concurrency, id from limits;
insert into webhooks (uuid, lane_id, state, document, secret_names)
select 'webhook-' || n, 1 + n % $LANES, 'enabled', '', '{}' from generate_series(1, $HOOKS) n;
insert into events (id, name, broker, consumer, provider, body, fingerprint, delivery_ids, keyed)
select md5('e' || n)::uuid, 'contract_published', 'default', 'C', 'P', repeat('x', 300), '', '{}',
    true
from generate_series(1, $ROWS) n;
insert into deliveries (id, event_id, webhook_id, lane_id, next_at)
select md5('d' || n)::uuid, md5('e' || n)::uuid, 1 + n % $HOOKS, 1 + (1 + n % $HOOKS) % $LANES,
    case when n % 10 > 0 then now() + (n % 7200 - 3600) * interval '1 second' end
from generate_series(1, $ROWS) n;
";

async fn fill(database: &str, rows: u32) {
    let sql =
        FILL.replace("$ROWS", &rows.to_string()).replace("$LANES", "300").replace("$HOOKS", "2000");
    connect(database).await.execute(AssertSqlSafe(sql)).await.unwrap();
}

/// A session as steps have it.
async fn hot_session(database: &str) -> PgConnection {
    let options = options(&url_of(database), Duration::from_mins(1)).unwrap();
    let mut conn =
        PgConnection::connect_with(&options.options(HOT_OPTIONS.iter().copied())).await.unwrap();
    for (statement, sql) in hot_statements() {
        let prepare = format!("prepare {statement} as {sql}");
        conn.execute(AssertSqlSafe(prepare)).await.unwrap();
    }
    conn
}

/// Plans of all hot statements as the session has them now, judged.
async fn judged(conn: &mut PgConnection) -> Vec<String> {
    let mut wrong = Vec::new();
    for (statement, sql) in hot_statements() {
        let values = vec!["null"; parameters(sql)].join(", ");
        let call = if values.is_empty() { String::new() } else { format!("({values})") };
        let explain = format!("explain (format json) execute {statement}{call}");
        let plan: Value =
            sqlx::query_scalar(AssertSqlSafe(explain)).fetch_one(&mut *conn).await.unwrap();
        let mut judge = Judge { statement, wrong: Vec::new() };
        judge.node(&plan[0]["Plan"], Place::default());
        wrong.extend(judge.wrong);
    }
    wrong
}

/// Plans made while everything is empty, and as it is now; then as a session makes them that
/// finds the tables full and knows nothing of them; then after they were analysed.
async fn no_plan_is_bad(rows: u32) {
    let (name, pg) = fresh().await;
    let mut early = hot_session(&name).await;
    let mut wrong = judged(&mut early).await;
    fill(&name, rows).await;
    wrong.extend(judged(&mut early).await);
    wrong.extend(judged(&mut hot_session(&name).await).await);
    early.execute("analyze").await.unwrap();
    wrong.extend(judged(&mut early).await);
    drop(early);
    remove(name, pg).await;
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn no_plan_is_bad_over_a_hundred_thousand_rows() {
    no_plan_is_bad(100_000).await;
}

/// The same over a million rows, which takes minutes.
#[tokio::test]
#[ignore = "takes minutes: cargo nextest run -p postrider-store --run-ignored only"]
async fn no_plan_is_bad_over_a_million_rows() {
    no_plan_is_bad(1_000_000).await;
}
