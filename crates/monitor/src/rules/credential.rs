//! Credentials that end.

use jiff::Timestamp;
use postrider_domain::{CredentialWarning, credential_expiry};
use postrider_store::{CredentialRow, IncidentFinding, IncidentKind, Severity};

/// Days before its end from which on a credential is an incident; from a day on a pressing one.
const DAYS: u32 = 14;

pub(super) fn expiring(credential: &CredentialRow, now: Timestamp) -> Option<IncidentFinding> {
    let (name, at) = (&credential.secret.name, credential.expires_at?);
    let (when, severity) = match credential_expiry(at, now)? {
        CredentialWarning::Expired => ("has expired", Severity::Critical),
        CredentialWarning::Expires(1) => ("expires within a day", Severity::Critical),
        CredentialWarning::Expires(7) => ("expires within 7 days", Severity::Warning),
        CredentialWarning::Expires(DAYS) => ("expires within 14 days", Severity::Warning),
        _ => return None,
    };
    let whose = credential.owner.as_deref().map(|owner| format!(" of {owner}")).unwrap_or_default();
    Some(IncidentFinding {
        kind: IncidentKind::CredentialExpiring,
        subject: name.clone(),
        cause: "expiry",
        severity,
        summary: format!(
            "Secret {name}{whose} {when}, at {at:.0}: from then on GitHub refuses it, and what \
             needs it waits"
        ),
        next: format!("postrider secrets rotate {name}"),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::SignedDuration;
    use postrider_store::SecretInfo;

    use super::*;

    pub(in crate::rules) fn credential(expires_at: Option<Timestamp>) -> CredentialRow {
        CredentialRow {
            secret: SecretInfo {
                uuid: String::new(),
                name: "githubToken".to_owned(),
                description: None,
                team_uuid: None,
                rev: 1,
                key_id: String::new(),
                github_app: None,
                created_at: Timestamp::UNIX_EPOCH,
                updated_at: Timestamp::UNIX_EPOCH,
            },
            owner: Some("pactflow-octo".to_owned()),
            scopes: None,
            expires_at,
            last_success_at: None,
            last_refusal_at: None,
            is_github: true,
            pending_at: None,
            previous_at: None,
        }
    }

    #[test]
    fn a_credential_that_ends_soon_is_an_incident() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        for (days, severity) in [
            (-1, Some(Severity::Critical)),
            (1, Some(Severity::Critical)),
            (7, Some(Severity::Warning)),
            (14, Some(Severity::Warning)),
            (15, None),
        ] {
            let at = now.checked_add(SignedDuration::from_hours(24 * days)).unwrap();
            let found = expiring(&credential(Some(at)), now);
            assert_eq!(found.as_ref().map(|found| found.severity), severity, "{days}");
            let told =
                found.is_none_or(|found| found.summary.contains("githubToken of pactflow-octo"));
            assert!(told, "{days}");
        }
        assert!(expiring(&credential(None), now).is_none());
    }
}
