//! What an alert says, whoever it is for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use postrider_domain::PairKey;
use postrider_store::{AlertStatus, Incident, IncidentKind};
use url::Url;

use crate::words::age;

/// Names with texts, in the order of the names.
pub(super) type Texts = BTreeMap<&'static str, String>;

/// One incident as alerts tell it. Labels are the same as long as the incident is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) status: AlertStatus,
    pub(super) labels: Texts,
    pub(super) annotations: Texts,
    pub(super) starts_at: Timestamp,
    /// Set when it is over.
    pub(super) ends_at: Option<Timestamp>,
    /// Where the incident can be read.
    pub(super) link: Option<String>,
}

impl Alert {
    pub(super) fn new(incident: &Incident, status: AlertStatus, base: Option<&Url>) -> Self {
        let mut labels = subject_labels(incident);
        labels.insert("alertname", alert_name(incident.kind).to_owned());
        labels.insert("kind", incident.kind.as_str().to_owned());
        labels.insert("severity", incident.severity.as_str().to_owned());
        let ends_at = match status {
            AlertStatus::Firing => None,
            AlertStatus::Resolved => Some(incident.resolved_at.unwrap_or(incident.updated_at)),
        };
        let lasted = ends_at.map(|end| age(incident.opened_at, end));
        let (summary, description) = match &lasted {
            None => {
                let told = format!("{}. Next: {}", incident.summary, incident.next);
                (incident.summary.clone(), told)
            }
            Some(lasted) => {
                let over = over(incident, lasted);
                let told = format!("{over}. What was last told of it: {}", incident.summary);
                (over, told)
            }
        };
        let annotations = [
            ("summary", summary),
            ("description", description),
            ("next", incident.next.clone()),
            ("cause", incident.cause.clone()),
            ("incident_id", incident.id.to_string()),
        ];
        let lasted = lasted.map(|lasted| ("lasted", lasted));
        Self {
            status,
            labels,
            annotations: annotations.into_iter().chain(lasted).collect(),
            starts_at: incident.opened_at,
            ends_at,
            link: base.and_then(|base| link(base, incident)),
        }
    }

    /// Says which reminder it is, from 1; 0 says nothing.
    pub(super) fn reminding(mut self, reminder: u32, now: Timestamp) -> Self {
        if reminder > 0 {
            self.annotations.insert("reminder", reminder.to_string());
            self.annotations.insert("open_for", age(self.starts_at, now));
        }
        self
    }

    /// What `postrider alerts test` sends, or takes back.
    pub(super) fn test(status: AlertStatus, at: Timestamp) -> Self {
        let summary = "This is a test of postrider's alerts: nothing is wrong";
        Self::of_nothing(("PostriderTest", "test", "warning"), summary, status, at)
    }

    /// The alert that Alertmanager always has while a monitor watches, in the way of Prometheus'
    /// own: whoever gets no word of it any more knows that nobody does.
    pub(super) fn watchdog(since: Timestamp) -> Self {
        let summary = "postrider watches: this alert is always there, and its end is what to look \
                       into";
        let names = ("PostriderWatchdog", "watchdog", "none");
        Self::of_nothing(names, summary, AlertStatus::Firing, since)
    }

    /// About no incident: its name, kind and severity.
    fn of_nothing(
        (name, kind, severity): (&str, &str, &str),
        summary: &str,
        status: AlertStatus,
        at: Timestamp,
    ) -> Self {
        let labels = [("alertname", name), ("kind", kind), ("severity", severity)];
        let next = "postrider incidents list";
        let description = format!("{summary}. Next: {next}");
        let annotations = [
            ("description", description.as_str()),
            ("summary", summary),
            ("next", next),
            ("cause", kind),
        ];
        let owned = |texts: &[(&'static str, &str)]| -> Texts {
            texts.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()
        };
        Self {
            status,
            labels: owned(&labels),
            annotations: owned(&annotations),
            starts_at: at,
            ends_at: match status {
                AlertStatus::Firing => None,
                AlertStatus::Resolved => Some(at),
            },
            link: None,
        }
    }

    /// Alertmanager's fingerprint of the labels: FNV-1a over names and values in order, a byte
    /// 255 after each.
    pub(super) fn fingerprint(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let texts = self.labels.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        for byte in texts.flat_map(|text| text.bytes().chain([255])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        format!("{hash:016x}")
    }
}

fn link(base: &Url, incident: &Incident) -> Option<String> {
    let mut link = base.clone();
    let id = incident.id.to_string();
    link.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v1", "incidents", &id]);
    Some(link.into())
}

/// What was, now that it is over.
fn over(incident: &Incident, lasted: &str) -> String {
    let subject = &incident.subject;
    match incident.kind {
        IncidentKind::SustainedFailures => format!("Webhook {subject} failed for {lasted}"),
        IncidentKind::LaneHeld => format!("Lane {subject} was held for {lasted}"),
        IncidentKind::LaneLate => format!("Limit {subject} was behind for {lasted}"),
        IncidentKind::WebhookHeld => format!("Webhook {subject} was held for {lasted}"),
        IncidentKind::Poison => format!("Delivery {subject} was given up for {lasted}"),
        IncidentKind::VerificationStale => {
            format!("The verification of {subject} was late for {lasted}")
        }
        IncidentKind::VerificationSilent => {
            format!("No event told of publications of {subject} for {lasted}")
        }
        IncidentKind::BrokerUnreachable => {
            format!("Broker \"{subject}\" could not be asked for {lasted}")
        }
        IncidentKind::FactUnreadable => {
            format!("What the monitor needs ({subject}) could not be read for {lasted}")
        }
        IncidentKind::PairsFull => format!("The table of pairs was full for {lasted}"),
        IncidentKind::LocalTrouble => {
            format!("The machine of worker {subject} could not make requests for {lasted}")
        }
        IncidentKind::CredentialExpiring => {
            format!("Secret {subject} was about to expire, or had expired, for {lasted}")
        }
        IncidentKind::FirstContact => {
            format!(
                "Pairs of broker \"{subject}\" that were late when it was met were so for {lasted}"
            )
        }
        IncidentKind::HoldsBack => {
            format!("What is deployed held the provider's head of {subject} back for {lasted}")
        }
        IncidentKind::OwedAfterFailure => {
            format!("What webhook {subject} failed to deliver was owed for {lasted}")
        }
        IncidentKind::RedispatchGaveUp => {
            format!("What was dispatched again for {subject} was without a result for {lasted}")
        }
        IncidentKind::RelayGone => {
            format!("The relay of broker \"{subject}\" was gone or disabled for {lasted}")
        }
        IncidentKind::RelayRefused => {
            format!("Calls of broker \"{subject}\" were refused here for {lasted}")
        }
    }
}

fn alert_name(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::SustainedFailures => "PostriderSustainedFailures",
        IncidentKind::LaneHeld => "PostriderLaneHeld",
        IncidentKind::LaneLate => "PostriderLaneLate",
        IncidentKind::WebhookHeld => "PostriderWebhookHeld",
        IncidentKind::Poison => "PostriderPoison",
        IncidentKind::VerificationStale => "PostriderVerificationStale",
        IncidentKind::VerificationSilent => "PostriderVerificationSilent",
        IncidentKind::BrokerUnreachable => "PostriderBrokerUnreachable",
        IncidentKind::FactUnreadable => "PostriderFactUnreadable",
        IncidentKind::PairsFull => "PostriderPairsFull",
        IncidentKind::LocalTrouble => "PostriderLocalTrouble",
        IncidentKind::CredentialExpiring => "PostriderCredentialExpiring",
        IncidentKind::FirstContact => "PostriderFirstContact",
        IncidentKind::HoldsBack => "PostriderHoldsBack",
        IncidentKind::OwedAfterFailure => "PostriderOwedAfterFailure",
        IncidentKind::RedispatchGaveUp => "PostriderRedispatchGaveUp",
        IncidentKind::RelayGone => "PostriderRelayGone",
        IncidentKind::RelayRefused => "PostriderRelayRefused",
    }
}

/// What the incident is about, taken apart.
fn subject_labels(incident: &Incident) -> Texts {
    let subject = incident.subject.clone();
    let one = |name| Texts::from([(name, subject.clone())]);
    match incident.kind {
        IncidentKind::SustainedFailures
        | IncidentKind::WebhookHeld
        | IncidentKind::OwedAfterFailure => one("webhook"),
        IncidentKind::LaneHeld => one("lane"),
        IncidentKind::LaneLate => one("limit"),
        IncidentKind::Poison => one("delivery"),
        IncidentKind::BrokerUnreachable
        | IncidentKind::FirstContact
        | IncidentKind::RelayGone
        | IncidentKind::RelayRefused => one("broker"),
        IncidentKind::FactUnreadable => one("fact"),
        IncidentKind::PairsFull => Texts::new(),
        IncidentKind::LocalTrouble => one("worker"),
        IncidentKind::CredentialExpiring => one("credential"),
        IncidentKind::VerificationStale
        | IncidentKind::VerificationSilent
        | IncidentKind::RedispatchGaveUp
        | IncidentKind::HoldsBack => match subject.parse::<PairKey>() {
            Ok(PairKey { broker, consumer, provider }) => {
                Texts::from([("broker", broker), ("consumer", consumer), ("provider", provider)])
            }
            Err(_) => one("pair"),
        },
    }
}
