//! PactFlow's rule of teams: a team's secrets are for that team's webhooks, secrets without a
//! team for webhooks without one. The store resolves no other secret at delivery either.

use postrider_store::SecretInfo;
use std::collections::BTreeSet;

use crate::broker_api::response::Failure;

/// 400 when a webhook of this team (`None` for none) names a secret of another.
pub(super) fn check(
    secrets: &[SecretInfo],
    team: Option<&str>,
    names: &BTreeSet<String>,
) -> Result<(), Failure> {
    match foreign(secrets, team, names) {
        None => Ok(()),
        Some(secret) => Err(Failure::invalid("teamUuid", refusal(secret, team))),
    }
}

/// A secret that is named and belongs to another team. One that is not there yet is no fault:
/// deliveries wait for it.
fn foreign<'a>(
    secrets: &'a [SecretInfo],
    team: Option<&str>,
    names: &BTreeSet<String>,
) -> Option<&'a SecretInfo> {
    secrets
        .iter()
        .find(|secret| names.contains(&secret.name) && secret.team_uuid.as_deref() != team)
}

fn refusal(secret: &SecretInfo, team: Option<&str>) -> String {
    let name = &secret.name;
    match (&secret.team_uuid, team) {
        (Some(owner), None) => format!(
            "is missing: the secret {name} belongs to the team {owner}, and only webhooks of that \
             team can use it"
        ),
        (Some(owner), Some(_)) => format!(
            "is another team: the secret {name} belongs to the team {owner}, and only webhooks of \
             that team can use it"
        ),
        (None, _) => format!(
            "must be left out: the secret {name} belongs to no team, and only webhooks without a \
             team can use it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(team: Option<&str>) -> SecretInfo {
        let at = "2026-11-22T00:00:00Z".parse().unwrap();
        SecretInfo {
            uuid: "u".to_owned(),
            name: "token".to_owned(),
            description: None,
            team_uuid: team.map(str::to_owned),
            rev: 1,
            key_id: "k".to_owned(),
            github_app: None,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn teams_and_their_secrets() {
        let used = BTreeSet::from(["token".to_owned(), "other".to_owned()]);
        for (owner, team, expected) in [
            (None, None, None),
            (Some("a"), Some("a"), None),
            (Some("a"), None, Some("is missing: the secret token belongs to the team a")),
            (Some("a"), Some("b"), Some("is another team: the secret token belongs to the team a")),
            (None, Some("b"), Some("must be left out: the secret token belongs to no team")),
        ] {
            let secrets = [secret(owner)];
            let found = foreign(&secrets, team, &used).map(|secret| refusal(secret, team));
            let fits = match (&found, expected) {
                (Some(found), Some(expected)) => found.starts_with(expected),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(fits, "{owner:?} {team:?}: {found:?}");
        }
        assert!(foreign(&[secret(Some("a"))], None, &BTreeSet::new()).is_none());
    }
}
