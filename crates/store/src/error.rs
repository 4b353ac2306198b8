//! What can go wrong, named by what the caller can do about it.

/// A store step that did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was done: the database can't be reached, or refused the step for now.
    #[error("the database takes nothing now: {0}")]
    Unavailable(String),
    /// Nothing was done: the database is there, but gave the statement up when its time was
    /// over.
    #[error("the database ran out of time: {0}")]
    Slow(String),
    /// A deadline passed or the connection broke while the step was under way: whether it was
    /// done is not known. Every write of this crate may be repeated.
    #[error("the database did not answer: {0}")]
    Unknown(String),
    /// A row does not read as what this binary writes.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
    /// The database was migrated by a newer binary.
    #[error(
        "the database has schema version {found}, this postrider knows {known}: use a newer postrider"
    )]
    NewerSchema {
        /// Version found.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// The master key is not the one that sealed what is stored.
    #[error(
        "the master key (key id {have}) cannot open the stored secrets: they were sealed with key id {need}"
    )]
    WrongKey {
        /// Key id of the configured key.
        have: String,
        /// Key id that sealed the stored values.
        need: String,
    },
    /// The configuration can't work (path not writable, URL not understood).
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Whether the same step may succeed later, with nobody doing anything about it.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Slow(_) | Self::Unknown(_) => true,
            Self::Corrupt(_)
            | Self::NewerSchema { .. }
            | Self::WrongKey { .. }
            | Self::Unusable(_) => false,
        }
    }
}
