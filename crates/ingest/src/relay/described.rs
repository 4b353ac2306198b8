//! What the OpenAPI document says of `POST /hooks/broker`.

use postrider_api::RelayedEvent;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_render::BrokerVar;
use serde_json::{Value, json};

use crate::events::accepted_example;

pub(crate) fn unnamed_described() -> Operation {
    described("relayEvent", "For the broker called `default`")
}

pub(crate) fn named_described() -> Operation {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 255});
    described("relayNamedEvent", "For the named broker").path(
        "name",
        "Name of the broker, at most 255 bytes.",
        &name,
    )
}

fn described(id: &str, which: &str) -> Operation {
    let description = format!(
        "{which}: parameters are the broker's variables without their prefix, in the query string \
         or in a JSON body of any content type; the query wins. Answered within 15 s. \
         `eventName=test` delivers nothing. Unknown parameters are ignored."
    );
    let operation = Operation::new(Tag::Intake, id, "Take in what a broker's webhook sends");
    let operation = BrokerVar::ALL.into_iter().fold(operation, |operation, variable| {
        operation.query_text(variable.as_str(), meaning(variable))
    });
    operation
        .description(&description)
        .takes_as(
            "*/*",
            &body(),
            json!({
                "eventName": "contract_published",
                "consumerName": "checkout",
                "providerName": "billing",
            }),
        )
        .optional_body()
        .answers::<RelayedEvent>(200, "Accepted, or a test run.")
        .example(200, accepted_example())
        .answers_nothing(414, "The query string is larger than 32 KiB.")
        .answers_nothing(422, "The event name is unknown.")
}

fn body() -> Value {
    json!({
        "description": "The same values as a JSON object, for what the query does not give. What \
                        is no JSON does no harm when the query suffices.",
    })
}

fn meaning(variable: BrokerVar) -> &'static str {
    match variable {
        BrokerVar::PactUrl => "Where the pact can be read.",
        BrokerVar::VerificationResultUrl => "Where the verification result can be read.",
        BrokerVar::ConsumerName => "Name of the consumer. Required, here or in the body.",
        BrokerVar::ProviderName => "Name of the provider. Required, here or in the body.",
        BrokerVar::ConsumerVersionNumber => "Version of the consumer.",
        BrokerVar::ConsumerVersionTags => {
            "Tags of the consumer version, joined by comma and space."
        }
        BrokerVar::ConsumerVersionBranch => "Branch of the consumer version.",
        BrokerVar::ProviderVersionNumber => "Version of the provider.",
        BrokerVar::ProviderVersionTags => {
            "Tags of the provider version, joined by comma and space."
        }
        BrokerVar::ProviderVersionBranch => "Branch of the provider version.",
        BrokerVar::ProviderVersionDescriptions => {
            "Descriptions of the provider version, joined by comma and space."
        }
        BrokerVar::ConsumerLabels => "Labels of the consumer, joined by comma and space.",
        BrokerVar::ProviderLabels => "Labels of the provider, joined by comma and space.",
        BrokerVar::GithubVerificationStatus => "`success`, `failure` or `pending`.",
        BrokerVar::GitlabVerificationStatus => "As GitLab words it.",
        BrokerVar::AzureDevOpsVerificationStatus => "As Azure DevOps words it.",
        BrokerVar::BitbucketVerificationStatus => "As Bitbucket words it.",
        BrokerVar::EventName => {
            "One of the six event names, or `test`. Required, here or in the body."
        }
        BrokerVar::BuildUrl => "The build that published the version.",
        BrokerVar::CurrentlyDeployedProviderVersionNumber => {
            "The provider version that is deployed."
        }
    }
}
