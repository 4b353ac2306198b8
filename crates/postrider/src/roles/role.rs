//! Which parts of the program a process runs.

/// Which roles a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// All of them.
    Serve,
    /// HTTP in.
    Ingest,
    /// Delivers.
    Worker,
    /// Watches.
    Monitor,
}

impl Role {
    /// Its name in logs and on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Monitor => "monitor",
        }
    }

    /// Whether it listens for events.
    pub(crate) fn ingests(self) -> bool {
        matches!(self, Self::Serve | Self::Ingest)
    }

    /// Whether it sends.
    pub(crate) fn delivers(self) -> bool {
        matches!(self, Self::Serve | Self::Worker)
    }

    /// Whether it watches.
    pub(crate) fn monitors(self) -> bool {
        matches!(self, Self::Serve | Self::Monitor)
    }
}
