//! Alerts of incidents: where one goes, and what it says.

/// Where an alert goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertChannel {
    /// An incoming webhook of Slack.
    Slack,
    /// Prometheus Alertmanager.
    Alertmanager,
    /// Any receiver of Alertmanager's webhook body.
    Webhook,
}

impl AlertChannel {
    /// All channels.
    pub const ALL: [Self; 3] = [Self::Slack, Self::Alertmanager, Self::Webhook];

    /// Its name in rows and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Alertmanager => "alertmanager",
            Self::Webhook => "webhook",
        }
    }
}

/// What an alert says of its incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertStatus {
    /// It was opened.
    Firing,
    /// It is over.
    Resolved,
}

impl AlertStatus {
    /// Its name in rows and alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}
