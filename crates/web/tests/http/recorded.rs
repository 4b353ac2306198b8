//! Requests as a Pact Broker 2.120.0 sent them, and the relay's query made of their values. The
//! whole-system tests use this file too.

use serde_json::Value;
use url::form_urlencoded;

const FILES: [&str; 3] = [
    include_str!("../data/recorded-broker-deliveries/1-first-publish.json"),
    include_str!("../data/recorded-broker-deliveries/3-verification-success.json"),
    include_str!(
        "../data/recorded-broker-deliveries/5-publish-changed-content-provider-main-and-deployed.json"
    ),
];

/// The variables that the recorded URL holds, and where: encoded by the broker itself.
const IN_URL: [&str; 5] =
    ["eventName", "consumerName", "pactUrl", "consumerVersionBranch", "consumerVersionTags"];

/// The others that the recorded body holds.
const IN_BODY: [&str; 14] = [
    "providerName",
    "consumerVersionNumber",
    "providerVersionNumber",
    "providerVersionTags",
    "providerVersionDescriptions",
    "providerVersionBranch",
    "verificationResultUrl",
    "githubVerificationStatus",
    "bitbucketVerificationStatus",
    "azureDevOpsVerificationStatus",
    "gitlabVerificationStatus",
    "consumerLabels",
    "providerLabels",
    "buildUrl",
];

/// A recorded request.
pub(crate) struct Recorded {
    path: String,
    /// The body as it arrived.
    pub(crate) body: String,
}

/// All of them, in the order of the recordings.
pub(crate) fn all() -> Vec<Recorded> {
    let files = FILES.map(|file| serde_json::from_str::<Value>(file).unwrap_or_default());
    let requests = files.iter().filter_map(|file| file["webhook_requests_received"].as_array());
    let text = |request: &Value, key: &str| request[key].as_str().unwrap_or_default().to_owned();
    let recorded = |request| Recorded { path: text(request, "path"), body: text(request, "body") };
    requests.flatten().map(recorded).collect()
}

impl Recorded {
    /// The value of a variable, read from the body although that is broken.
    pub(crate) fn value(&self, name: &str) -> &str {
        let (_, rest) = self.body.split_once(&format!("\"{name}\":\"")).unwrap_or_default();
        rest.split_once("\",\"").unwrap_or_default().0
    }

    /// All values as the broker sends them in a URL such as `?eventName=${pactbroker.eventName}`.
    pub(crate) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(IN_BODY.map(|name| (name, self.value(name))));
        let encoded = IN_URL.iter().zip(self.encoded());
        encoded.fold(query.finish(), |query, (name, value)| format!("{query}&{name}={value}"))
    }

    /// The values of the URL `/200/ev/{event}/{consumer}/{pact}?b={branch}&t={tags}`, still
    /// encoded.
    fn encoded(&self) -> Vec<&str> {
        let (path, query) = self.path.split_once('?').unwrap_or_default();
        let steps = path.split('/').skip(3);
        steps.chain(query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1))).collect()
    }
}
