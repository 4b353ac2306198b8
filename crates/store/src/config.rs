//! Where a store is, and what it needs to know.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::MasterKey;

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Target {
    /// Postgres 14 or later.
    Postgres {
        /// Connection URL; may hold a password.
        url: SecretString,
        /// Connections of this process on which deliveries depend, at least 2; three more are
        /// for what people ask.
        max_connections: u32,
    },
    /// A SQLite file, made when missing.
    Sqlite {
        /// Path of the file.
        path: PathBuf,
    },
}

/// What a store needs to know.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Where it is.
    pub target: Target,
    /// Seals secrets and inline credentials at rest.
    pub master_key: MasterKey,
    /// A fresh delivery of an unlimited lane that nobody claimed by then is claimed from the
    /// store; zero where there is no dispatch queue (embedded).
    pub sweep_after: Duration,
    /// How long a statement may run before the database cancels it.
    pub statement_timeout: Duration,
}
