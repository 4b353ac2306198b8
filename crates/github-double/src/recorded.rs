//! GitHub's answers as they were recorded, documented or seen in public threads.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// One answer of GitHub with where it comes from.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Name of the case, which is also the name of its file.
    pub case: String,
    /// Status code.
    pub status: StatusCode,
    /// Headers, all that were recorded.
    pub headers: HeaderMap,
    /// Body as it is sent; empty when there is none.
    pub body: Bytes,
    /// Where the facts were read.
    pub source: String,
    /// `documented`, `observed in public thread` or `observed in fixture`.
    pub provenance: String,
    /// Verdict that a client is expected to reach.
    pub class: String,
}

#[derive(Deserialize)]
struct File {
    case: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
    source: String,
    provenance: String,
    class: String,
}

static RECORDINGS: LazyLock<BTreeMap<String, Recording>> = LazyLock::new(|| {
    FILES
        .iter()
        .filter_map(|text| parse(text))
        .map(|recording| (recording.case.clone(), recording))
        .collect()
});

/// The recorded answer of this name.
pub fn recorded(case: &str) -> Option<&'static Recording> {
    RECORDINGS.get(case)
}

/// All recorded answers, by name.
pub fn recordings() -> impl Iterator<Item = &'static Recording> {
    RECORDINGS.values()
}

/// A broken file yields nothing; the tests compare the number of recordings with that of files.
fn parse(text: &str) -> Option<Recording> {
    let file: File = serde_json::from_str(text).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in &file.headers {
        headers.append(
            HeaderName::try_from(name.as_str()).ok()?,
            HeaderValue::try_from(value.as_str()).ok()?,
        );
    }
    Some(Recording {
        case: file.case,
        status: StatusCode::from_u16(file.status).ok()?,
        headers,
        body: body_bytes(&file.body),
        source: file.source,
        provenance: file.provenance,
        class: file.class,
    })
}

/// Text stands for itself, null for no body, anything else for its JSON.
fn body_bytes(body: &Value) -> Bytes {
    match body {
        Value::Null => Bytes::new(),
        Value::String(text) => Bytes::from(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Bytes::from(body.to_string())
        }
    }
}

/// The files of `responses/`.
pub(crate) const FILES: &[&str] = &[
    include_str!("../responses/archived-repository-403.json"),
    include_str!("../responses/bad-credentials-401.json"),
    include_str!("../responses/bad-gateway-502-json.json"),
    include_str!("../responses/bad-json-400.json"),
    include_str!("../responses/classic-pat-forbidden-by-org-403.json"),
    include_str!("../responses/dispatch-204-classic-pat.json"),
    include_str!("../responses/dispatch-204-deprecated-api-version.json"),
    include_str!("../responses/dispatch-204-fine-grained-expiring.json"),
    include_str!("../responses/fine-grained-lifetime-policy-403.json"),
    include_str!("../responses/get-rate-limit-200.json"),
    include_str!("../responses/get-rate-limit-404-ghes-disabled.json"),
    include_str!("../responses/get-repo-200.json"),
    include_str!("../responses/get-user-200-classic.json"),
    include_str!("../responses/get-user-403-installation-token.json"),
    include_str!("../responses/installation-token-201-stateless.json"),
    include_str!("../responses/installation-token-201.json"),
    include_str!("../responses/installation-token-expired-401.json"),
    include_str!("../responses/list-runs-200-empty.json"),
    include_str!("../responses/list-runs-200.json"),
    include_str!("../responses/missing-event-type-422.json"),
    include_str!("../responses/missing-user-agent-403.json"),
    include_str!("../responses/not-an-object-400.json"),
    include_str!("../responses/not-found-404-scope-too-small.json"),
    include_str!("../responses/not-found-404.json"),
    include_str!("../responses/pat-not-accessible-403.json"),
    include_str!("../responses/payload-too-large-422.json"),
    include_str!("../responses/primary-limit-403.json"),
    include_str!("../responses/renamed-301-read.json"),
    include_str!("../responses/secondary-content-creation-403.json"),
    include_str!("../responses/secondary-limit-403-retry-after.json"),
    include_str!("../responses/secondary-limit-429-retry-after.json"),
    include_str!("../responses/server-error-500.json"),
    include_str!("../responses/service-unavailable-503.json"),
    include_str!("../responses/too-many-properties-422.json"),
    include_str!("../responses/unsupported-api-version-400.json"),
    include_str!("../responses/validation-failed-422.json"),
    include_str!("../responses/workflow-dispatch-200.json"),
];

#[cfg(test)]
mod tests;
