//! Connections that die without a word: no step waits for one for longer than its deadline, and
//! none takes a place in the pool with it.

use std::time::Duration;

use postrider_domain::LaneId;
use postrider_store::{Store, StoreError};
use tokio::time::{Instant, timeout};

use postrider_testkit::acts::{put, unlimited, wait_until};

use crate::harness::World;
use crate::silence::{Moment, Silence};

/// The time of a statement, of a step, and a step with what two cores need besides.
const STATEMENT: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_secs(3);
const ENOUGH: Duration = Duration::from_secs(5);

/// A statement that any test may have fall silent.
const PAUSE: &str = "set pause_until";

async fn pause(store: &Store) -> Result<(), StoreError> {
    let paused = timeout(ENOUGH, store.pause(LaneId(1), Duration::ZERO)).await;
    paused.expect("a step outlives its deadline")
}

async fn works(store: &Store) {
    for _ in 0..5 {
        let answer = timeout(STEP, store.ping()).await;
        answer.expect("the pool is used up").expect("the database is there");
    }
}

async fn behind_a_line(world: &World) -> (Silence, Store) {
    let line = Silence::start(world.server().await).await.unwrap();
    let store = world.through(line.address(), 2, STATEMENT).await;
    works(&store).await;
    (line, store)
}

pub(crate) async fn a_silent_connection_ends_its_step_and_nothing_else(world: World) {
    let (line, store) = behind_a_line(&world).await;
    line.at(PAUSE, Moment::Before, 1);
    let started = Instant::now();
    let (stuck, ()) = tokio::join!(pause(&store), async {
        works(&store).await;
        let is_old = |age| age > Duration::from_millis(500);
        wait_until(&store, "the stuck step is named", async || {
            store.oldest_step().filter(|(name, age)| *name == "pause" && is_old(*age))
        })
        .await;
    });
    assert_eq!(store.oldest_step(), None);
    assert!(matches!(stuck, Err(StoreError::Unknown(_))), "{stuck:?}");
    assert!(started.elapsed() >= STATEMENT, "it was given its time");
    assert_eq!(line.silenced(), 1);
    pause(&store).await.unwrap();
}

pub(crate) async fn silent_connections_never_use_up_the_pool(world: World) {
    let (line, store) = behind_a_line(&world).await;
    for moment in [Moment::Before, Moment::After] {
        line.at(PAUSE, moment, 2);
        let (first, second) = tokio::join!(pause(&store), pause(&store));
        assert!(matches!(first, Err(StoreError::Unknown(_))), "{moment:?}: {first:?}");
        assert!(matches!(second, Err(StoreError::Unknown(_))), "{moment:?}: {second:?}");
        works(&store).await;
    }
    assert_eq!(line.silenced(), 4);
}

pub(crate) async fn a_step_given_up_by_its_caller_takes_its_connection_along(world: World) {
    let (line, store) = behind_a_line(&world).await;
    line.at(PAUSE, Moment::Before, 2);
    let both = async { tokio::join!(pause(&store), pause(&store)) };
    let given_up = timeout(Duration::from_millis(300), both).await;
    assert!(given_up.is_err(), "both are stuck");
    let started = Instant::now();
    works(&store).await;
    assert!(started.elapsed() < STATEMENT, "{:?}", started.elapsed());
}

pub(crate) async fn a_connection_that_dies_after_its_answer_leaves_the_pool(world: World) {
    let (line, store) = behind_a_line(&world).await;
    line.at(PAUSE, Moment::Answered, 2);
    let (first, second) = tokio::join!(pause(&store), pause(&store));
    first.unwrap();
    second.unwrap();
    // On the way back to the pool nobody answers them any more.
    let started = Instant::now();
    while store.ping().await.is_err() {
        assert!(started.elapsed() < ENOUGH, "the pool never recovers");
    }
    works(&store).await;
}

pub(crate) async fn idle_connections_that_died_are_noticed(world: World) {
    let (line, store) = behind_a_line(&world).await;
    tokio::join!(works(&store), works(&store));
    line.all();
    // Used a moment ago they are trusted: one step pays for all of them, at most.
    if let Err(error) = timeout(ENOUGH, store.ping()).await.expect("a step outlives its deadline") {
        assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    }
    works(&store).await;
    // Idle for longer they are asked first.
    let idle = Instant::now();
    wait_until(&store, "a second has passed", async || {
        (idle.elapsed() > Duration::from_millis(1100)).then_some(())
    })
    .await;
    line.all();
    works(&store).await;
}

pub(crate) async fn what_is_locked_for_long_is_asked_for_again(world: World) {
    let store = world.store();
    let lane = put(store, "one", &unlimited("lane")).await.lane_id;
    let lock = world.lock("update lanes set name = name").await;
    let started = Instant::now();
    let (paused, ()) = tokio::join!(store.pause(lane, Duration::ZERO), async {
        wait_until(store, "more than one wait for a lock", async || {
            (started.elapsed() > Duration::from_millis(1500)).then_some(())
        })
        .await;
        lock.rollback().await;
    });
    paused.unwrap();
}

pub(crate) async fn a_client_lost_in_the_middle_of_a_request_holds_its_locks_for_seconds(
    world: World,
) {
    let webhook = put(world.store(), "one", &unlimited("lane")).await;
    let (line, store) = behind_a_line(&world).await;
    line.at(PAUSE, Moment::Halved, 1);
    let lost = store.pause(webhook.lane_id, Duration::ZERO).await;
    assert!(matches!(lost, Err(StoreError::Unknown(_))), "{lost:?}");
    let started = Instant::now();
    wait_until(world.store(), "somebody else has the lock", async || {
        world.store().pause(webhook.lane_id, Duration::ZERO).await.ok()
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
