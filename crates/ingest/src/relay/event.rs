//! From the parameters of a call to the event.

use postrider_api::FieldError;
use postrider_domain::{Event, EventName, Pacticipant};
use postrider_http_server::Problem;
use postrider_http_server::json::pointer_step;
use postrider_render::BrokerVar;

use crate::payload::{MAX_NAME, all_names, unknown_name};
use crate::relay::params::Params;

/// The status variables, with their words for a good and a bad verification (Pact Broker 2.120).
const STATUSES: [(BrokerVar, &str, &str); 4] = [
    (BrokerVar::GithubVerificationStatus, "success", "failure"),
    (BrokerVar::GitlabVerificationStatus, "success", "failed"),
    (BrokerVar::AzureDevOpsVerificationStatus, "succeeded", "failed"),
    (BrokerVar::BitbucketVerificationStatus, "SUCCESSFUL", "FAILED"),
];

/// The event that the parameters tell. 400 names each field that is missing or too long; 422 is
/// for an unknown event name.
pub(super) fn event(broker: String, params: &Params) -> Result<Event, Problem> {
    let errors = faults(params);
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let name = params.event_name();
    let event_name: EventName = name.parse().map_err(|_| unknown_name("/eventName", name))?;
    Ok(Event {
        event_name,
        occurred_at: None,
        broker,
        consumer: consumer(params),
        provider: provider(params),
        pact_url: params.text(BrokerVar::PactUrl),
        verification_result_url: params.text(BrokerVar::VerificationResultUrl),
        verification_success: verification_success(event_name, params),
        build_url: params.text(BrokerVar::BuildUrl),
        currently_deployed_provider_version_number: params
            .text(BrokerVar::CurrentlyDeployedProviderVersionNumber),
    })
}

fn faults(params: &Params) -> Vec<FieldError> {
    let missing = params.missing().into_iter().map(|var| {
        let detail = if var == BrokerVar::EventName {
            format!("is required: one of {}", all_names())
        } else {
            "is required: the pacticipant's name, in the query string or the body".to_owned()
        };
        FieldError { pointer: pointer_step(var.as_str()), detail }
    });
    let names = [BrokerVar::ConsumerName, BrokerVar::ProviderName].into_iter();
    let too_long = names.filter_map(|var| {
        let found = params.get(var).len();
        let detail = format!("is {found} bytes long: at most {MAX_NAME} are allowed");
        let pointer = pointer_step(var.as_str());
        (found > MAX_NAME).then_some(FieldError { pointer, detail })
    });
    missing.chain(too_long).collect()
}

fn consumer(params: &Params) -> Pacticipant {
    Pacticipant {
        name: params.text(BrokerVar::ConsumerName),
        version_number: params.text(BrokerVar::ConsumerVersionNumber),
        branch: params.text(BrokerVar::ConsumerVersionBranch),
        tags: params.list(BrokerVar::ConsumerVersionTags),
        labels: params.list(BrokerVar::ConsumerLabels),
        version_descriptions: Vec::new(),
    }
}

fn provider(params: &Params) -> Pacticipant {
    Pacticipant {
        name: params.text(BrokerVar::ProviderName),
        version_number: params.text(BrokerVar::ProviderVersionNumber),
        branch: params.text(BrokerVar::ProviderVersionBranch),
        tags: params.list(BrokerVar::ProviderVersionTags),
        labels: params.list(BrokerVar::ProviderLabels),
        version_descriptions: params.list(BrokerVar::ProviderVersionDescriptions),
    }
}

/// By the event's name where it tells; else by the first status variable that does. A broker fills
/// them for publications too: content may be verified already.
fn verification_success(event_name: EventName, params: &Params) -> Option<bool> {
    match event_name {
        EventName::ProviderVerificationSucceeded => Some(true),
        EventName::ProviderVerificationFailed => Some(false),
        EventName::ProviderVerificationPublished
        | EventName::ContractPublished
        | EventName::ContractContentChanged
        | EventName::ContractRequiringVerificationPublished
        | EventName::Test => {
            STATUSES.into_iter().find_map(|(var, good, bad)| match params.get(var) {
                word if word == good => Some(true),
                word if word == bad => Some(false),
                _ => None,
            })
        }
    }
}
