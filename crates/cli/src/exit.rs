//! Exit codes, and the one way in which a command fails.

use std::process::ExitCode;

/// What the caller of the program learns from it. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Fine,
    /// The answer is no: refused, not found, failed.
    No,
    /// Wrong usage or configuration.
    Usage,
    /// Something needed can't be reached; unknown is not "no".
    Unreachable,
    /// The credential was refused.
    Credential,
    /// Rate limited.
    RateLimited,
    /// The process can't do any more what it is there for.
    GaveUp,
}

impl Exit {
    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Credential => 4,
            Self::RateLimited => 5,
            Self::GaveUp => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An ending that is not fine: one line of what is wrong, one line of what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong; holds no secret.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Failure {
    /// Without advice.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), fix: None }
    }

    /// Wrong usage or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
