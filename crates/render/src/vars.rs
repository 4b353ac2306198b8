//! The values that a broker's event offers to a template.

use std::borrow::Cow;

use postrider_domain::{DeliveryId, Event};

/// The variables of a Pact Broker's webhook templates, written `${pactbroker.NAME}`
/// (Pact Broker 2.120, `webhooks/pact_and_verification_parameters.rb`). Case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BrokerVar {
    /// Where the pact can be read.
    PactUrl,
    /// Where the verification result can be read.
    VerificationResultUrl,
    /// The consumer's name.
    ConsumerName,
    /// The provider's name.
    ProviderName,
    /// The consumer version that published.
    ConsumerVersionNumber,
    /// Its tags.
    ConsumerVersionTags,
    /// Its branch.
    ConsumerVersionBranch,
    /// The provider version that verified or has to verify.
    ProviderVersionNumber,
    /// Its tags.
    ProviderVersionTags,
    /// Its branch.
    ProviderVersionBranch,
    /// Why this provider version needs the verification; only with
    /// `contract_requiring_verification_published`.
    ProviderVersionDescriptions,
    /// The consumer's labels.
    ConsumerLabels,
    /// The provider's labels.
    ProviderLabels,
    /// The verification's result in the words of GitHub's commit statuses.
    GithubVerificationStatus,
    /// In the words of GitLab's commit statuses.
    GitlabVerificationStatus,
    /// In the words of Azure DevOps' commit statuses.
    AzureDevOpsVerificationStatus,
    /// In the words of Bitbucket's build statuses.
    BitbucketVerificationStatus,
    /// One of the six event names, or `test`.
    EventName,
    /// The CI build that published.
    BuildUrl,
    /// The deployed provider version that this event is for. Missing from the broker's
    /// documented list, present in its code.
    CurrentlyDeployedProviderVersionNumber,
}

impl BrokerVar {
    /// All of them, in the order above.
    pub const ALL: [Self; 20] = [
        Self::PactUrl,
        Self::VerificationResultUrl,
        Self::ConsumerName,
        Self::ProviderName,
        Self::ConsumerVersionNumber,
        Self::ConsumerVersionTags,
        Self::ConsumerVersionBranch,
        Self::ProviderVersionNumber,
        Self::ProviderVersionTags,
        Self::ProviderVersionBranch,
        Self::ProviderVersionDescriptions,
        Self::ConsumerLabels,
        Self::ProviderLabels,
        Self::GithubVerificationStatus,
        Self::GitlabVerificationStatus,
        Self::AzureDevOpsVerificationStatus,
        Self::BitbucketVerificationStatus,
        Self::EventName,
        Self::BuildUrl,
        Self::CurrentlyDeployedProviderVersionNumber,
    ];

    /// The name without `pactbroker.`, which is also the relay's parameter name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PactUrl => "pactUrl",
            Self::VerificationResultUrl => "verificationResultUrl",
            Self::ConsumerName => "consumerName",
            Self::ProviderName => "providerName",
            Self::ConsumerVersionNumber => "consumerVersionNumber",
            Self::ConsumerVersionTags => "consumerVersionTags",
            Self::ConsumerVersionBranch => "consumerVersionBranch",
            Self::ProviderVersionNumber => "providerVersionNumber",
            Self::ProviderVersionTags => "providerVersionTags",
            Self::ProviderVersionBranch => "providerVersionBranch",
            Self::ProviderVersionDescriptions => "providerVersionDescriptions",
            Self::ConsumerLabels => "consumerLabels",
            Self::ProviderLabels => "providerLabels",
            Self::GithubVerificationStatus => "githubVerificationStatus",
            Self::GitlabVerificationStatus => "gitlabVerificationStatus",
            Self::AzureDevOpsVerificationStatus => "azureDevOpsVerificationStatus",
            Self::BitbucketVerificationStatus => "bitbucketVerificationStatus",
            Self::EventName => "eventName",
            Self::BuildUrl => "buildUrl",
            Self::CurrentlyDeployedProviderVersionNumber => {
                "currentlyDeployedProviderVersionNumber"
            }
        }
    }

    /// The variable of this name, without `pactbroker.`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|var| var.as_str() == name)
    }
}

/// What a delivery's placeholders stand for, secrets apart.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// The event that is delivered.
    pub event: &'a Event,
    /// The value of `${pactbroker.eventName}`: the event's own name, or `test` in a test run.
    pub event_name: &'a str,
    /// The value of `${postrider.deliveryId}`; the same for all attempts of a delivery.
    pub delivery_id: DeliveryId,
}

impl<'a> Variables<'a> {
    /// The value of one variable: lists joined by `, `, what is missing is empty.
    pub fn value(&self, var: BrokerVar) -> Cow<'a, str> {
        let event = self.event;
        let (consumer, provider) = (&event.consumer, &event.provider);
        match var {
            BrokerVar::PactUrl => event.pact_url.as_str().into(),
            BrokerVar::VerificationResultUrl => event.verification_result_url.as_str().into(),
            BrokerVar::ConsumerName => consumer.name.as_str().into(),
            BrokerVar::ProviderName => provider.name.as_str().into(),
            BrokerVar::ConsumerVersionNumber => consumer.version_number.as_str().into(),
            BrokerVar::ConsumerVersionTags => joined(&consumer.tags),
            BrokerVar::ConsumerVersionBranch => consumer.branch.as_str().into(),
            BrokerVar::ProviderVersionNumber => provider.version_number.as_str().into(),
            BrokerVar::ProviderVersionTags => joined(&provider.tags),
            BrokerVar::ProviderVersionBranch => provider.branch.as_str().into(),
            BrokerVar::ProviderVersionDescriptions => joined(&provider.version_descriptions),
            BrokerVar::ConsumerLabels => joined(&consumer.labels),
            BrokerVar::ProviderLabels => joined(&provider.labels),
            BrokerVar::GithubVerificationStatus => self.status("success", "failure", "pending"),
            BrokerVar::GitlabVerificationStatus => self.status("success", "failed", "pending"),
            BrokerVar::AzureDevOpsVerificationStatus => {
                self.status("succeeded", "failed", "pending")
            }
            BrokerVar::BitbucketVerificationStatus => {
                self.status("SUCCESSFUL", "FAILED", "INPROGRESS")
            }
            BrokerVar::EventName => self.event_name.into(),
            BrokerVar::BuildUrl => event.build_url.as_str().into(),
            BrokerVar::CurrentlyDeployedProviderVersionNumber => {
                event.currently_deployed_provider_version_number.as_str().into()
            }
        }
    }

    fn status(
        &self,
        good: &'static str,
        bad: &'static str,
        pending: &'static str,
    ) -> Cow<'static, str> {
        Cow::Borrowed(match self.event.verification_success {
            Some(true) => good,
            Some(false) => bad,
            None => pending,
        })
    }
}

fn joined(list: &[String]) -> Cow<'_, str> {
    match list {
        [] => Cow::Borrowed(""),
        [only] => Cow::Borrowed(only),
        several => Cow::Owned(several.join(", ")),
    }
}
