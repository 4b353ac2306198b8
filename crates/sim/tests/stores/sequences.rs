//! Sequences over all three.

use postrider_sim::ModelStore;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::place::{NOW, Postgres, SWEEP, sqlite};
use crate::side::Side;
use crate::step::{Step, steps};

/// Steps of a sequence.
const LENGTH: usize = 60;
/// All rows are compared each so many steps.
const ROWS_EVERY: usize = 10;

async fn compare(from: u64, count: u64) {
    let postgres = Postgres::new().await;
    for seed in from..from + count {
        postgres.empty().await;
        Box::pin(one(seed, &postgres)).await;
    }
    postgres.remove().await;
}

fn sequence(seed: u64) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    steps(LENGTH).new_tree(&mut runner).unwrap().current()
}

async fn one(seed: u64, postgres: &Postgres) {
    let (_dir, file) = sqlite().await;
    let model = ModelStore::new(NOW, SWEEP);
    let mut left = Side::new(&postgres.store).await;
    let mut middle = Side::new(&file).await;
    let mut right = Side::new(&model).await;
    let mut log = Vec::new();
    for (number, step) in sequence(seed).iter().enumerate() {
        let answers = [left.step(step).await, middle.step(step).await, right.step(step).await];
        log.push(format!("{number}: {step:?}\n    {}", answers[2].trim_end()));
        let said = log.join("\n");
        assert_eq!(answers[0], answers[2], "Postgres and the model, seed {seed}\n{said}");
        assert_eq!(answers[1], answers[2], "SQLite and the model, seed {seed}\n{said}");
        if number % ROWS_EVERY == ROWS_EVERY - 1 {
            let rows = right.rows().await;
            assert_eq!(left.rows().await, rows, "rows in Postgres, seed {seed}\n{said}");
            assert_eq!(middle.rows().await, rows, "rows in SQLite, seed {seed}\n{said}");
        }
    }
    file.close().await;
}

#[tokio::test]
async fn sequences_give_the_same_answers_and_rows() {
    Box::pin(compare(0, 20)).await;
}

/// For nights and releases: `cargo nextest run --workspace --run-ignored only -E
/// 'test(many_sequences)'`.
#[tokio::test]
#[ignore = "takes minutes"]
async fn many_sequences_give_the_same_answers_and_rows() {
    Box::pin(compare(1_000, 300)).await;
}
