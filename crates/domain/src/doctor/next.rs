//! What to do about a verdict.

use super::facts::{DeliveryFacts, Facts, Known, NotReceived, Publication};
use super::verdict::DoctorVerdict;
use super::walk::Walk;

/// Commands to run next, in this order; what stands in capitals is to be filled in.
pub(super) fn commands(facts: &Facts, walk: &Walk) -> Vec<String> {
    match &walk.delivery {
        Some(delivery) if is_about_delivery(walk.verdict) => of_delivery(delivery, walk.verdict),
        Some(_) | None => of_pair(facts, walk),
    }
}

/// Whether what is to be done is done to a delivery.
fn is_about_delivery(verdict: DoctorVerdict) -> bool {
    use DoctorVerdict as V;
    match verdict {
        V::RenderError
        | V::SecretMissing
        | V::CredentialDead
        | V::Held
        | V::Limited
        | V::Blocked
        | V::PermissionMissing
        | V::TargetMissing
        | V::PayloadRejected
        | V::TargetDown
        | V::Discarded
        | V::InProgress
        | V::NoRun
        | V::RunFailed
        | V::RunWithoutResult
        | V::NoResult => true,
        V::AllWell
        | V::NothingToVerify
        | V::NotPublished
        | V::ProviderNotThere
        | V::EventNotReceived
        | V::NoWebhook
        | V::VerificationFailed
        | V::WrongProviderVersion
        | V::Unknown => false,
    }
}

fn of_delivery(delivery: &DeliveryFacts, verdict: DoctorVerdict) -> Vec<String> {
    use DoctorVerdict as V;
    let id = delivery.id;
    let show = format!("postrider deliveries show {id}");
    let replay = format!("postrider deliveries replay {id} --yes");
    let webhook = format!("postrider webhooks show {}", quoted(delivery.webhook.as_str()));
    let secret = delivery.secret.as_deref().unwrap_or("NAME");
    let secret = quoted(secret);
    match verdict {
        V::SecretMissing => vec![format!("postrider secrets set {secret}")],
        V::CredentialDead => vec![format!("postrider secrets rotate {secret}")],
        V::Held => vec![format!("postrider lanes release {}", quoted(&delivery.lane))],
        V::Limited => vec!["postrider lanes list".to_owned()],
        V::PermissionMissing => vec![format!("postrider secrets probe {secret}"), replay],
        V::TargetMissing | V::RenderError | V::PayloadRejected => vec![show, webhook, replay],
        V::Discarded => vec![webhook, replay],
        V::Blocked | V::TargetDown | V::NoRun | V::NoResult => vec![show, replay],
        V::RunFailed | V::RunWithoutResult | V::InProgress => vec![show],
        // No delivery is to be touched for these.
        V::AllWell
        | V::NothingToVerify
        | V::NotPublished
        | V::ProviderNotThere
        | V::EventNotReceived
        | V::NoWebhook
        | V::VerificationFailed
        | V::WrongProviderVersion
        | V::Unknown => Vec::new(),
    }
}

fn of_pair(facts: &Facts, walk: &Walk) -> Vec<String> {
    let asked = &facts.asked;
    let (consumer, provider) = (quoted(&asked.consumer), quoted(&asked.provider));
    let broker = quoted(&asked.broker);
    let reconcile = |more: &str| format!("postrider reconcile --broker {broker}{more} --yes");
    match walk.verdict {
        DoctorVerdict::NotPublished => {
            let version = quoted(asked.version.as_deref().unwrap_or("VERSION"));
            vec![format!("pact-broker publish PACTS --consumer-app-version {version} --branch BRANCH")]
        }
        DoctorVerdict::ProviderNotThere => vec![asked.environment.as_ref().map_or_else(
            || format!("pact-broker create-or-update-pacticipant --name {provider} --main-branch BRANCH"),
            |place| {
                let place = quoted(place);
                format!("pact-broker record-deployment --pacticipant {provider} --version VERSION --environment {place}")
            },
        )],
        DoctorVerdict::EventNotReceived => match &facts.not_received {
            Known::Is(
                NotReceived::NoRelay
                | NotReceived::RelayDisabled { .. }
                | NotReceived::RelayForOthers { .. },
            ) => vec!["postrider connect --broker URL --public-url URL".to_owned(), reconcile("")],
            Known::Is(_) | Known::Unknown(_) => vec![reconcile("")],
        },
        DoctorVerdict::NoWebhook => {
            let event = walk.event.as_ref().map_or_else(
                || "postrider webhooks list".to_owned(),
                |event| format!("postrider events show {}", event.id),
            );
            vec![event, "postrider webhooks apply -f FILE --yes".to_owned(), reconcile("")]
        }
        DoctorVerdict::WrongProviderVersion => vec![reconcile(" --later")],
        DoctorVerdict::VerificationFailed => {
            let version = match &facts.publication {
                Known::Is(Publication::Is { version, .. }) => quoted(version),
                Known::Is(_) | Known::Unknown(_) => "VERSION".to_owned(),
            };
            vec![format!("pact-broker can-i-deploy --pacticipant {consumer} --version {version}")]
        }
        DoctorVerdict::Unknown => vec![format!(
            "postrider check verification --consumer {consumer} --provider {provider}"
        )],
        DoctorVerdict::InProgress => vec![format!(
            "postrider events list --consumer {consumer} --provider {provider}"
        )],
        _ => Vec::new(),
    }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@');
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(quoted("billing-1.2"), "billing-1.2");
        assert_eq!(quoted("two words"), "'two words'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
