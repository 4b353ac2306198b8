//! What to do about a verdict.

use super::facts::{DeliveryFacts, Facts, Known, NotReceived, Publication};
use super::verdict::DoctorVerdict;
use super::walk::Walk;
use crate::{DeliveryStatus, Outcome};

const APPLY: &str = "postrider webhooks apply -f FILE --yes";

/// Commands to run next, in this order; what stands in capitals is to be filled in.
pub(super) fn commands(facts: &Facts, walk: &Walk) -> Vec<String> {
    match &walk.delivery {
        Some(delivery) if is_about_delivery(walk.verdict) => {
            of_delivery(delivery, walk.verdict, &facts.asked.broker)
        }
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

fn of_delivery(delivery: &DeliveryFacts, verdict: DoctorVerdict, broker: &str) -> Vec<String> {
    use DoctorVerdict as V;
    let id = delivery.id;
    let show = format!("postrider deliveries show {id}");
    let webhook = format!("postrider webhooks show {}", quoted(delivery.webhook.as_str()));
    let secret = delivery.secret.as_deref().unwrap_or("NAME");
    let secret = quoted(secret);
    match verdict {
        V::SecretMissing => vec![format!("postrider secrets set {secret}")],
        V::CredentialDead => vec![format!("postrider secrets rotate {secret}")],
        V::Held => vec![format!("postrider lanes release {}", quoted(&delivery.lane))],
        V::Limited => vec!["postrider lanes list".to_owned()],
        V::PermissionMissing => {
            with_replay(vec![format!("postrider secrets probe {secret}")], delivery)
        }
        V::TargetMissing | V::RenderError | V::PayloadRejected => {
            with_replay(vec![show, webhook], delivery)
        }
        V::Discarded => discarded(delivery, webhook, broker),
        V::Blocked | V::TargetDown | V::NoRun | V::NoResult => with_replay(vec![show], delivery),
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

/// One that is tried again by itself is not replayed.
fn with_replay(mut commands: Vec<String>, delivery: &DeliveryFacts) -> Vec<String> {
    match delivery.status {
        DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Discarded => {
            commands.push(format!("postrider deliveries replay {} --yes", delivery.id));
        }
        DeliveryStatus::Queued | DeliveryStatus::Retrying | DeliveryStatus::Held => {}
    }
    commands
}

/// Nothing is sent for a webhook that is deleted or disabled; a new one has no delivery yet.
fn discarded(delivery: &DeliveryFacts, webhook: String, broker: &str) -> Vec<String> {
    match delivery.last_outcome {
        Some(Outcome::WebhookDeleted) => vec![APPLY.to_owned(), reconcile(broker, "")],
        Some(Outcome::WebhookDisabled) => with_replay(vec![webhook, APPLY.to_owned()], delivery),
        // Somebody did it by hand.
        Some(Outcome::Withdrawn) => with_replay(Vec::new(), delivery),
        Some(_) | None => with_replay(vec![webhook], delivery),
    }
}

fn reconcile(broker: &str, more: &str) -> String {
    format!("postrider reconcile --broker {}{more} --yes", quoted(broker))
}

fn connect(broker: &str) -> String {
    let name = match broker {
        "default" => String::new(),
        named => format!(" --name {}", quoted(named)),
    };
    format!("postrider connect --broker URL --public-url URL{name}")
}

fn of_pair(facts: &Facts, walk: &Walk) -> Vec<String> {
    let asked = &facts.asked;
    let (consumer, provider) = (quoted(&asked.consumer), quoted(&asked.provider));
    let reconcile = |more: &str| reconcile(&asked.broker, more);
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
            ) => vec![connect(&asked.broker), reconcile("")],
            Known::Is(_) | Known::Unknown(_) => vec![reconcile("")],
        },
        DoctorVerdict::NoWebhook => {
            let event = walk.event.as_ref().map_or_else(
                || "postrider webhooks list".to_owned(),
                |event| format!("postrider events show {}", event.id),
            );
            vec![event, APPLY.to_owned(), reconcile("")]
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
