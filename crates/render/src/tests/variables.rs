//! The twenty variables, for all six events.

use postrider_domain::{Event, EventName};

use super::{DELIVERY, bare_event, body_of, full_event, rendered_with, with_json, with_text};
use crate::{BrokerVar, Variables};

fn values(event: &Event) -> Vec<(&'static str, String)> {
    let vars = Variables { event, event_name: event.event_name.as_str(), delivery_id: DELIVERY };
    BrokerVar::ALL.map(|var| (var.as_str(), vars.value(var).into_owned())).to_vec()
}

/// Names and values as Pact Broker 2.120 gives them.
fn expected_full(event_name: EventName) -> Vec<(&'static str, &'static str)> {
    vec![
        ("pactUrl", "https://b/pacts/1"),
        ("verificationResultUrl", "https://b/results/2"),
        ("consumerName", "Zoo App"),
        ("providerName", "Animal/Service"),
        ("consumerVersionNumber", "1.2.3"),
        ("consumerVersionTags", "a, b"),
        ("consumerVersionBranch", "main"),
        ("providerVersionNumber", "9f2"),
        ("providerVersionTags", "prod"),
        ("providerVersionBranch", "feat/x"),
        ("providerVersionDescriptions", "latest from main branch, prod"),
        ("consumerLabels", "mobile"),
        ("providerLabels", "core, java"),
        ("githubVerificationStatus", "success"),
        ("gitlabVerificationStatus", "success"),
        ("azureDevOpsVerificationStatus", "succeeded"),
        ("bitbucketVerificationStatus", "SUCCESSFUL"),
        ("eventName", event_name.as_str()),
        ("buildUrl", "https://ci/3"),
        ("currentlyDeployedProviderVersionNumber", "8e1"),
    ]
}

fn owned(list: Vec<(&'static str, &'static str)>) -> Vec<(&'static str, String)> {
    list.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

#[test]
fn each_variable_of_each_event() {
    for event_name in EventName::ALL {
        assert_eq!(values(&full_event(event_name)), owned(expected_full(event_name)));
    }
}

#[test]
fn what_is_missing_is_empty() {
    for event_name in EventName::ALL {
        for (name, value) in values(&bare_event(event_name)) {
            let expected = match name {
                "consumerName" => "C",
                "providerName" => "P",
                "eventName" => event_name.as_str(),
                "bitbucketVerificationStatus" => "INPROGRESS",
                status if status.ends_with("VerificationStatus") => "pending",
                _ => "",
            };
            assert_eq!(value, expected, "{name} of {event_name}");
        }
    }
}

#[test]
fn failed_verifications_in_the_words_of_each_host() {
    let failed = Event {
        verification_success: Some(false),
        ..full_event(EventName::ProviderVerificationFailed)
    };
    let statuses: Vec<String> = values(&failed)
        .into_iter()
        .filter(|(name, _)| name.ends_with("VerificationStatus"))
        .map(|(_, value)| value)
        .collect();
    assert_eq!(statuses, ["failure", "failed", "failed", "FAILED"]);
}

/// The names go through the parser, too, and reach the body.
#[test]
fn each_variable_can_be_written_in_a_template() {
    for event_name in EventName::ALL {
        let event = full_event(event_name);
        for (name, value) in values(&event) {
            let request = with_json(serde_json::json!([format!("${{pactbroker.{name}}}")]));
            let body = rendered_with(&request, &event, &[]).unwrap().body.unwrap();
            let list: Vec<String> = serde_json::from_slice(&body).unwrap();
            assert_eq!(list, [value], "{name}");
        }
    }
}

#[test]
fn names_are_found_by_their_exact_text() {
    for var in BrokerVar::ALL {
        assert_eq!(BrokerVar::from_name(var.as_str()), Some(var));
    }
    assert_eq!(BrokerVar::from_name("consumername"), None);
}

#[test]
fn what_is_no_placeholder_stays() {
    for text in [
        "${pactbroker.foo}",
        "${pactbroker.consumername}",
        "${Pactbroker.consumerName}",
        "${ pactbroker.consumerName }",
        "${pactbroker.consumerName",
        "$ {pactbroker.consumerName}",
        "${pactbroker.pactbroker.consumerName}",
        "${user.}",
        "${user.a b}",
        "${user.a.b}",
        "${postrider.deliveryID}",
        "${consumerName}",
        "${}",
        "${",
        "$",
        "$${",
        "}${",
    ] {
        assert_eq!(body_of(&with_text(text)), text);
    }
    let too_long = format!("${{user.{}}}", "a".repeat(65));
    assert_eq!(body_of(&with_text(&too_long)), too_long);
}

#[test]
fn placeholders_next_to_odd_text() {
    for (template, expected) in [
        ("${pactbroker.consumerVersionNumber}", "1.2.3"),
        ("$${pactbroker.consumerVersionNumber}", "$1.2.3"),
        ("${${pactbroker.consumerVersionNumber}}", "${1.2.3}"),
        ("${user.${pactbroker.consumerVersionNumber}}", "${user.1.2.3}"),
        ("${pactbroker.x${pactbroker.consumerVersionNumber}", "${pactbroker.x1.2.3"),
        ("${user.token}${user.token}", "s3cret-values3cret-value"),
        ("<${postrider.deliveryId}>", "<01934d5e-0000-7000-8000-000000000001>"),
    ] {
        assert_eq!(body_of(&with_text(template)), expected, "{template}");
    }
}

/// A quadratic parser would take minutes for these.
#[test]
fn long_templates_are_parsed_in_linear_time() {
    for unit in ["${", "${pactbroker.", "${user.a", "$", "${user.", "${a"] {
        let text = unit.repeat(900_000 / unit.len());
        assert_eq!(body_of(&with_text(&text)), text);
    }
}
