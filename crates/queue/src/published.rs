//! The fate of a message that was to be published.

/// What became of a message that was to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// RabbitMQ has it on disk, in a queue.
    Confirmed,
    /// It may not be there: refused, returned, the link broke or was not up, or no confirm came
    /// within 10 s. Its rows are left to the store path; a message that is there nevertheless does
    /// no harm (rule `ROAD_FRESH`).
    Refused,
}
