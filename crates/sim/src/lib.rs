//! Simulates the delivery tier: real schedulers and the real decisions of the domain over a store
//! in memory, with workers, ingests, a queue, targets, and everything that can go wrong with them.
//!
//! One seed decides everything: [`run`] with the same seed does the same again, step by step. One
//! thread, one heap of what happens when, no clock. See `docs/simulation.md`.
//!
//! | concern | file |
//! |---|---|
//! | the store in memory | `model/` |
//! | what there is, and what happens next | `world.rs`, `happening.rs` |
//! | a seed from its start to its end | `run.rs`, `plan.rs` |
//! | a worker around its scheduler | `process.rs`, `driver.rs` |
//! | its calls to the store | `call.rs`, `calls.rs`, `answers.rs` |
//! | its attempts and probes | `attempt.rs`, `attempts.rs`, `probing.rs` |
//! | the rest of the tier | `intake.rs`, `ingest.rs`, `message.rs`, `queue.rs`, `dispatch.rs`, `target.rs`, `janitor.rs` |
//! | what goes wrong | `fault.rs`, `faults.rs`, `edit.rs`, `edits.rs` |
//! | what must hold | `checks.rs`, `parks.rs`, `drain.rs` |
//! | faults planted to be found | `flaw.rs` |
//! | how well rates are used | `rates.rs` |

mod answers;
mod attempt;
mod attempts;
mod call;
mod calls;
mod chance;
mod checks;
mod credentials;
mod dispatch;
mod drain;
mod driver;
mod edit;
mod edits;
mod fault;
mod faults;
mod flaw;
mod happening;
mod ingest;
mod intake;
mod janitor;
mod judge;
mod message;
pub mod model;
mod parks;
mod plan;
mod probing;
mod process;
mod queue;
pub mod rates;
mod run;
mod store;
mod target;
mod trace;
mod world;

pub use flaw::Flaw;
pub use run::{Report, run, trace};
pub use store::ModelStore;
