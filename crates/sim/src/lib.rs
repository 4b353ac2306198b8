//! Simulates the delivery tier: real schedulers and the real decisions of the domain over a store
//! in memory, with workers, ingests, a queue, targets, and everything that can go wrong with them.
//!
//! One seed decides everything: [`run`] with the same seed does the same again, step by step. One
//! thread, one heap of what happens when, no clock. See `docs/simulation.md`.
//!
//! | concern | file |
//! |---|---|
//! | the store in memory | `model/` |
//! | what happens when | `world.rs`, `happening.rs` |
//! | a worker around its scheduler | `process.rs`, `calls.rs`, `answers.rs`, `attempts.rs`, `probing.rs` |
//! | the rest of the tier | `ingest.rs`, `queue.rs`, `target.rs`, `janitor.rs` |
//! | what goes wrong | `plan.rs`, `faults.rs`, `edits.rs` |
//! | what must hold | `checks.rs`, `parks.rs`, `drain.rs` |
//! | faults planted to be found | `flaw.rs` |
//! | how well rates are used | `rates.rs` |

mod answers;
mod attempts;
mod calls;
mod chance;
mod checks;
mod credentials;
mod drain;
mod edits;
mod faults;
mod flaw;
mod happening;
mod ingest;
mod janitor;
mod judge;
pub mod model;
mod parks;
mod plan;
mod probing;
mod process;
mod queue;
pub mod rates;
mod store;
mod target;
mod trace;
mod world;

pub use flaw::Flaw;
pub use store::ModelStore;
pub use world::{Report, run, trace};
