//! Alerts that are to be sent: written with the change of the incident, sent afterwards.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{AlertStatus, Incident};

/// An alert that somebody may send now.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Its id; the same over all tries.
    pub id: Uuid,
    /// What it says.
    pub status: AlertStatus,
    /// Which try this is, from 1; also the fence for what became of it.
    pub tries: u32,
    /// Which reminder of the open incident it is, from 1; 0 for its opening and its end.
    pub reminder: u32,
    /// The incident as it reads now.
    pub incident: Incident,
}

/// An open incident that nobody acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnseenIncident {
    /// Its id.
    pub id: Uuid,
    /// When it was last told: when it was opened, or last reminded of.
    pub told_at: Timestamp,
    /// How often it was reminded of.
    pub reminders: u32,
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertResult {
    /// The receiver took it.
    Delivered,
    /// To be tried again after this time.
    Retry(Duration),
    /// Never to be tried again.
    GivenUp,
}
