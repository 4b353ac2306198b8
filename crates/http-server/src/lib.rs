//! What the roles that answer HTTP have in common: who may call and how often, bodies bounded in
//! size, time and memory, and errors as problem documents.
//!
//! `ingest` takes events, `web` serves the two APIs; they know nothing of each other. The program
//! gives both the same [`Shared`] and puts their routers together.

mod auth;
pub mod body;
pub mod json;
mod limits;
mod media_type;
pub mod openapi;
mod problem;
pub mod query;
mod routes;
mod sign_in;

use std::sync::Arc;

use postrider_store::Store;
use postrider_telemetry::Metrics;
use tokio::sync::RwLock;

pub use auth::{Access, Role, Tokens};
pub use body::MemoryBudget;
pub use limits::{Caller, Limit};
pub use media_type::media_type;
pub use problem::Problem;
pub use routes::{Route, router};
pub use sign_in::{Session, SignedIn};

/// What those roles share within a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where everything is.
    pub store: Store,
    /// What is counted.
    pub metrics: Metrics,
    /// Memory for what both take in.
    pub memory: MemoryBudget,
    /// Read by whoever writes webhooks, written by a commit of events that they keep from coming
    /// to its end. Those of other processes wait in the store.
    pub webhook_writes: Arc<RwLock<()>>,
}

impl Shared {
    /// Over this store.
    pub fn new(store: Store, metrics: Metrics) -> Self {
        let (memory, webhook_writes) = Default::default();
        Self { store, metrics, memory, webhook_writes }
    }
}
