//! What a broker's webhooks are triggered with, and the calls that they make.

use jiff::Timestamp;

/// One call that a webhook for all events is to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// One of the broker's six.
    pub event: String,
    /// The consumer.
    pub consumer: String,
    /// The version that published.
    pub consumer_version: String,
    /// Its last branch, or empty.
    pub consumer_branch: String,
    /// Its tags in the order in which it got them.
    pub consumer_tags: Vec<String>,
    /// The consumer's labels.
    pub consumer_labels: Vec<String>,
    /// The provider.
    pub provider: String,
    /// The version that has to verify, or empty.
    pub provider_version: String,
    /// The main branch for its head, else the version's last branch, or empty.
    pub provider_branch: String,
    /// Those of the version that verified the content last.
    pub provider_tags: Vec<String>,
    /// The provider's labels.
    pub provider_labels: Vec<String>,
    /// Why the version has to verify.
    pub descriptions: Vec<String>,
    /// The content.
    pub sha: String,
    /// Number and outcome of the content's latest result.
    pub verification: Option<(usize, bool)>,
    /// The build that published.
    pub build_url: String,
    /// When.
    pub triggered_at: Timestamp,
    /// What became of it.
    pub status: TriggerStatus,
    /// The broker was killed before it was sent.
    pub is_forgotten: bool,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerStatus {
    /// Nothing yet, or nothing ever.
    NotRun,
    /// It was taken.
    Success,
    /// It was refused.
    Failure,
}

impl TriggerStatus {
    /// The broker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRun => "not_run",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl Trigger {
    /// The pact's URL with the metadata that a webhook's has: base64url without padding of
    /// `cvn=1&cvt[]=a&w=true`.
    pub fn pact_url(&self, base: &str) -> String {
        let mut metadata = url::form_urlencoded::Serializer::new(String::new());
        metadata.append_pair("cvn", &self.consumer_version);
        for tag in &self.consumer_tags {
            metadata.append_pair("cvt[]", tag);
        }
        metadata.append_pair("w", "true");
        let metadata = base64url(metadata.finish().as_bytes());
        format!("{}/metadata/{metadata}", self.content_url(base))
    }

    /// The result's URL, or empty.
    pub fn result_url(&self, base: &str) -> String {
        self.verification.map_or_else(String::new, |(number, _)| {
            format!("{}/verification-results/{number}", self.content_url(base))
        })
    }

    fn content_url(&self, base: &str) -> String {
        let (provider, consumer) = (encoded(&self.provider), encoded(&self.consumer));
        format!("{base}/pacts/provider/{provider}/consumer/{consumer}/pact-version/{}", self.sha)
    }

    /// The variables of a relay call, in the broker's names.
    pub fn variables(&self, base: &str) -> Vec<(&'static str, String)> {
        let status = match self.verification {
            None => "pending",
            Some((_, true)) => "success",
            Some((_, false)) => "failure",
        };
        vec![
            ("eventName", self.event.clone()),
            ("consumerName", self.consumer.clone()),
            ("consumerVersionNumber", self.consumer_version.clone()),
            ("consumerVersionBranch", self.consumer_branch.clone()),
            ("consumerVersionTags", self.consumer_tags.join(", ")),
            ("consumerLabels", self.consumer_labels.join(", ")),
            ("providerName", self.provider.clone()),
            ("providerVersionNumber", self.provider_version.clone()),
            ("providerVersionBranch", self.provider_branch.clone()),
            ("providerVersionTags", self.provider_tags.join(", ")),
            ("providerVersionDescriptions", self.descriptions.join(", ")),
            ("providerLabels", self.provider_labels.join(", ")),
            ("pactUrl", self.pact_url(base)),
            ("verificationResultUrl", self.result_url(base)),
            ("githubVerificationStatus", status.to_owned()),
            ("buildUrl", self.build_url.clone()),
        ]
    }

    /// Path and query of the call that a relay webhook makes, below its receiver's address.
    pub fn relay_call(&self, relay: &str, base: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.variables(base));
        format!("{relay}?{}", query.finish())
    }
}

/// One segment of a path (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const RESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
