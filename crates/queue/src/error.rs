//! What can be wrong with the dispatch queue.

use lapin::ErrorKind;

/// AMQP 0-9-1 section 1.2: a declaration that differs from what exists.
const PRECONDITION_FAILED: u16 = 406;
/// The same: what is named does not exist.
const NOT_FOUND: u16 = 404;

/// What can be wrong with the dispatch queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// A queue or exchange exists with other arguments than these; a person must delete it or
    /// run the version that made it.
    #[error("{queue} exists in RabbitMQ with other arguments: {detail}")]
    Mismatch {
        /// Name of the queue or exchange.
        queue: String,
        /// RabbitMQ's words.
        detail: String,
    },
    /// The settings can't be used. Never says what the address was, for it holds a password.
    #[error("the AMQP address can't be used: {0}")]
    Url(&'static str),
    /// RabbitMQ can't be reached, or the link broke.
    #[error("RabbitMQ is not available: {0}")]
    Unavailable(String),
}

impl QueueError {
    /// Whether it stays until a person does something (exit code 2 at the start).
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Mismatch { .. } | Self::Url(_) => true,
            Self::Unavailable(_) => false,
        }
    }
}

pub(crate) fn unavailable(error: &lapin::Error) -> QueueError {
    QueueError::Unavailable(error.to_string())
}

/// Whether what was named does not exist.
pub(crate) fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refused) if refused.get_id() == NOT_FOUND)
}

/// Tells a difference in what is declared from everything else that can go wrong meanwhile.
pub(crate) fn mismatch(name: &str, error: &lapin::Error) -> QueueError {
    match error.kind() {
        ErrorKind::ProtocolError(refused) if refused.get_id() == PRECONDITION_FAILED => {
            QueueError::Mismatch {
                queue: name.to_owned(),
                detail: refused.get_message().to_string(),
            }
        }
        _ => unavailable(error),
    }
}
