//! What GitHub would refuse of a dispatch whatever the event's values are.

use postrider_domain::{Body, RequestTemplate, TargetKind};
use serde_json::Value;
use url::Url;

use super::finding::{Finding, LintRule};

/// Everything that is known to go wrong at GitHub. `url` has stand-ins for its placeholders.
pub(super) fn findings(url: &Url, request: &RequestTemplate) -> Vec<Finding> {
    let mut findings: Vec<Finding> = path(url).into_iter().collect();
    let kind = TargetKind::of(&without_slash(url));
    if kind.is_github() {
        findings.extend(credential(url, request));
        findings.extend(body(kind, request));
    }
    findings
}

fn without_slash(url: &Url) -> Url {
    let mut url = url.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// A path or host that answers 404 although it looks like the one that is meant.
fn path(url: &Url) -> Option<Finding> {
    let host = url.host_str().unwrap_or_default();
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    let (what, fix) = match segments.as_slice() {
        ["api", "v3", ..] | ["repos", ..] if matches!(host, "github.com" | "www.github.com") => (
            "github.com is the web site: its API answers at another host",
            "write https://api.github.com/repos/OWNER/REPOSITORY/dispatches",
        ),
        ["api", "v3", ..] if host == "api.github.com" => (
            "/api/v3 is the API of GitHub Enterprise Server, which api.github.com does not know",
            "write https://api.github.com/repos/OWNER/REPOSITORY/dispatches",
        ),
        [.., ""] if TargetKind::of(&without_slash(url)).is_github() => (
            "GitHub answers 404 to a dispatch with a slash at its end",
            "remove the slash behind dispatches",
        ),
        _ => return None,
    };
    Some(Finding::new(LintRule::GithubPath, "/request/url", what, fix))
}

fn credential(url: &Url, request: &RequestTemplate) -> Option<Finding> {
    let is_filled = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let has_header = request.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("authorization") && !value.trim().is_empty()
    });
    let has_basic = is_filled(&request.username) || is_filled(&request.password);
    let has_user_info = !url.username().is_empty() || url.password().is_some();
    (!has_header && !has_basic && !has_user_info).then(|| {
        let what = "a dispatch without a credential: GitHub answers 401 or 404";
        let fix = "add the header Authorization: Bearer ${user.githubToken}";
        Finding::new(LintRule::NoCredential, "/request/headers", what, fix)
    })
}

/// Members that GitHub demands (GitHub's `OpenAPI` description). A body that is no JSON as it
/// stands may be some with its values.
fn body(kind: TargetKind, request: &RequestTemplate) -> Option<Finding> {
    let member = match kind {
        TargetKind::RepositoryDispatch => "event_type",
        TargetKind::WorkflowDispatch => "ref",
        TargetKind::Other => return None,
    };
    let has_member = match &request.body {
        None => false,
        Some(Body::Json(value)) => is_text(value.get(member)),
        Some(Body::Text(text)) => serde_json::from_str::<Value>(text)
            .map_or(!text.trim().is_empty(), |value| is_text(value.get(member))),
    };
    (!has_member).then(|| {
        let what = format!("the body has no text {member}: GitHub answers 422");
        let fix = format!("add \"{member}\" to the body");
        Finding::new(LintRule::MissingMember, format!("/request/body/{member}"), what, fix)
    })
}

fn is_text(value: Option<&Value>) -> bool {
    value.is_some_and(Value::is_string)
}
