//! For tests alone: the steps of a store that deliveries depend on, whoever keeps the rows, and
//! the cases that hold for each of them.
//!
//! Postgres and SQLite have the steps by [`Store`](postrider_store::Store), the simulation by its
//! model; the conformance suite runs [`cases`] over the databases, the simulation's tests over the
//! model. [`broker`] stands in for a Pact Broker.

pub mod acts;
pub mod broker;
pub mod cases;
mod hot;
mod seen;
mod world;

pub use hot::HotStore;
pub use seen::Seen;
pub use world::World;
