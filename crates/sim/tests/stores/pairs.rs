//! Every two hot steps beside each other in Postgres: the second comes while the first holds its
//! locks and is not committed. What both answer, and what they leave, is what one after the other
//! gives in the model.
//!
//! A deferred trigger keeps the sessions of the first from their commits as long as the test holds
//! an advisory lock.

use std::fmt::Write as _;

use postrider_sim::ModelStore;
use postrider_store::Store;
use postrider_testkit::HotStore;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::time::Instant;

use crate::place::{NOW, Postgres, SWEEP};
use crate::scene::{hot_steps, may_meet, scene};
use crate::side::Side;
use crate::step::{LANES, Step};

/// Claims in the scene last for a minute: it is made anew long before.
const STALE: std::time::Duration = std::time::Duration::from_secs(15);

const HOLD_BACK: &str = "
create function hold_back() returns trigger language plpgsql as $$
begin
    if current_setting('postrider.side', true) = 'first' then
        perform pg_advisory_xact_lock(7);
    end if;
    return null;
end $$";

/// Tables without the partitions of others.
const TABLES: &str = "
select c.relname::text, c.relkind = 'p' as is_parted
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
    and c.relname <> '_sqlx_migrations'
order by c.relname";

/// Sessions that wait for the test's lock, and for a lock of somebody else.
const WAITING: &str = "
select count(*) filter (where wait_event = 'advisory') > 0,
    count(*) filter (where wait_event <> 'advisory') > 0
from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'";

/// What is between two steps.
struct Between {
    conn: PgConnection,
    save: String,
    restore: String,
}

impl Between {
    async fn new(postgres: &Postgres) -> Self {
        let mut conn = postgres.connection().await;
        conn.execute(HOLD_BACK).await.unwrap();
        conn.execute("create schema saved").await.unwrap();
        conn.execute("set session_replication_role = replica").await.unwrap();
        let tables: Vec<(String, bool)> =
            sqlx::query_as(TABLES).fetch_all(&mut conn).await.unwrap();
        let (mut save, mut restore) = (String::new(), String::new());
        for (table, is_parted) in &tables {
            write!(save, "truncate saved.{table}; insert into saved.{table} table {table};")
                .unwrap();
            write!(
                restore,
                "delete from {table}; insert into {table} overriding system value \
                 table saved.{table};"
            )
            .unwrap();
            let copy = format!("create table saved.{table} (like {table})");
            conn.execute(AssertSqlSafe(copy)).await.unwrap();
            if !is_parted {
                let trigger = format!(
                    "create constraint trigger hold_back after insert or update or delete \
                     on {table} deferrable initially deferred for each row \
                     execute function hold_back()"
                );
                conn.execute(AssertSqlSafe(trigger)).await.unwrap();
            }
        }
        Self { conn, save, restore }
    }

    async fn save(&mut self) {
        self.conn.execute(AssertSqlSafe(self.save.clone())).await.unwrap();
    }

    async fn restore(&mut self) {
        self.conn.execute(AssertSqlSafe(self.restore.clone())).await.unwrap();
    }

    async fn hold(&mut self) {
        self.conn.execute("select pg_advisory_lock(7)").await.unwrap();
    }

    async fn let_go(&mut self) {
        self.conn.execute("select pg_advisory_unlock(7)").await.unwrap();
    }

    async fn until_held(&mut self) {
        while !self.waiting().await.0 {}
    }

    async fn until_locked(&mut self) {
        while !self.waiting().await.1 {}
    }

    async fn waiting(&mut self) -> (bool, bool) {
        sqlx::query_as(WAITING).fetch_one(&mut self.conn).await.unwrap()
    }

    /// Both answers; whether the second found the first at work.
    async fn beside(
        &mut self,
        first: impl Future<Output = String>,
        second: impl Future<Output = String>,
    ) -> ([String; 2], bool) {
        self.hold().await;
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        let one = tokio::select! {
            answer = &mut first => Some(answer),
            () = self.until_held() => None,
        };
        let other = tokio::select! {
            answer = &mut second => Some(answer),
            () = self.until_locked() => None,
        };
        self.let_go().await;
        let is_beside = one.is_none();
        let (one, other) = tokio::join!(
            async { if let Some(answer) = one { answer } else { first.await } },
            async { if let Some(answer) = other { answer } else { second.await } },
        );
        ([one, other], is_beside)
    }
}

/// What two steps answered and left behind: also what can be claimed then, which tells of
/// attempts, claims and marks.
#[derive(Debug, PartialEq, Eq)]
struct Result {
    answers: [String; 2],
    rows: String,
    claims: Vec<String>,
}

async fn result<S: HotStore>(
    answers: [String; 2],
    mut first: Side<'_, S>,
    second: &Side<'_, S>,
) -> Result {
    first.hears_of(second);
    let rows = first.rows().await;
    let lanes = (0..LANES).collect();
    let mut claims = Vec::new();
    for step in [
        Step::Expire,
        Step::Due { worker: 0, lanes, count: 99, suspect: false, ends_now: false },
        Step::Limited { lease: 0, count: 9, spaced: false, suspect: false, ends_now: false },
        Step::Limited { lease: 1, count: 9, spaced: false, suspect: false, ends_now: false },
    ] {
        claims.push(first.step(&step).await);
    }
    Result { answers, rows, claims }
}

/// One after the other in the model.
async fn in_turn(
    scene: &Side<'_, ModelStore>,
    model: &ModelStore,
    [first, second]: [&Step; 2],
    is_turned: bool,
) -> Result {
    let model = model.fork();
    let (mut left, mut right) = (scene.beside(&model, 1), scene.beside(&model, 2));
    let answers = if is_turned {
        let answer = right.step(second).await;
        [left.step(first).await, answer]
    } else {
        [left.step(first).await, right.step(second).await]
    };
    result(answers, left, &right).await
}

async fn prepared<S: HotStore>(store: &S) -> Side<'_, S> {
    let mut side = Side::new(store).await;
    for step in scene() {
        side.step(&step).await;
    }
    side.look_around().await;
    side
}

/// Every step beside each of a share of them; how many pairs were really beside each other.
async fn compare(share: usize, shares: usize) -> (usize, Vec<String>) {
    let postgres = Postgres::new().await;
    let mut between = Between::new(&postgres).await;
    let stores = [postgres.another("first").await, postgres.another("second").await];
    let steps = hot_steps();
    let (mut beside, mut faults) = (0, Vec::new());
    let firsts = steps.iter().enumerate().filter(|(number, _)| number % shares == share);
    for (_, first) in firsts {
        postgres.empty().await;
        let mut scene = prepared(&postgres.store).await;
        between.save().await;
        let mut made = Instant::now();
        let model = ModelStore::new(NOW, SWEEP);
        let model_scene = prepared(&model).await;
        for second in steps.iter().filter(|second| may_meet(first, second)) {
            if made.elapsed() > STALE {
                postgres.empty().await;
                scene = prepared(&postgres.store).await;
                between.save().await;
                made = Instant::now();
            }
            between.restore().await;
            let pair = Box::pin(pair(&scene, &stores, &mut between, [first, second]));
            // Where the first had nothing to do, they did not meet.
            let Some(found) = pair.await else { continue };
            beside += 1;
            let straight = in_turn(&model_scene, &model, [first, second], false).await;
            let turned = in_turn(&model_scene, &model, [first, second], true).await;
            if found != straight && found != turned {
                faults.push(format!(
                    "{first:?} and {second:?}:\n{found:#?}\nin turn:\n{straight:#?}\n\
                     the other way round:\n{turned:#?}"
                ));
            }
        }
    }
    for store in stores {
        store.close().await;
    }
    drop(between);
    postgres.remove().await;
    (beside, faults)
}

async fn pair(
    scene: &Side<'_, Store>,
    [one, other]: &[Store; 2],
    between: &mut Between,
    [first, second]: [&Step; 2],
) -> Option<Result> {
    let (mut left, mut right) = (scene.beside(one, 1), scene.beside(other, 2));
    let both = between.beside(left.step(first), right.step(second));
    let (answers, is_beside) = Box::pin(both).await;
    if is_beside { Some(result(answers, left, &right).await) } else { None }
}

async fn holds(share: usize) {
    let (beside, faults) = Box::pin(compare(share, 4)).await;
    let count = faults.len();
    assert!(faults.is_empty(), "{count} pairs differ\n{}", faults.join("\n\n"));
    assert!(beside > 100, "only {beside} pairs were beside each other");
}

#[tokio::test]
async fn pairs_are_as_one_after_the_other_first_share() {
    Box::pin(holds(0)).await;
}

#[tokio::test]
async fn pairs_are_as_one_after_the_other_second_share() {
    Box::pin(holds(1)).await;
}

#[tokio::test]
async fn pairs_are_as_one_after_the_other_third_share() {
    Box::pin(holds(2)).await;
}

#[tokio::test]
async fn pairs_are_as_one_after_the_other_fourth_share() {
    Box::pin(holds(3)).await;
}
