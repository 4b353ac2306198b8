//! A GitHub App as a secret: as it is sent, and what keeps it from being one.

use postrider_domain::{AppTargets, GithubApp};
use postrider_http_server::Problem;
use postrider_http_server::json::kind;
use postrider_render::{AppKey, app_misuse};
use postrider_store::{SecretContent, WebhookTable};
use secrecy::SecretString;
use serde_json::{Map, Value};

/// Longest private key that is read, in bytes.
const LONGEST_KEY: usize = 64 * 1024;

const MEMBERS: [&str; 6] =
    ["app_id", "private_key", "installation_id", "owner", "per_repository", "api_url"];

/// The app that a document describes. No answer repeats what was sent.
///
/// # Errors
/// 400: it is no app, or its tokens would not come from GitHub.
pub(super) fn read(value: &Value, may: AppTargets<'_>) -> Result<SecretContent, Problem> {
    let document = value.as_object().ok_or_else(|| {
        Problem::bad("/github_app", format!("must be an object, not {}", kind(value)))
    })?;
    if document.keys().any(|key| !MEMBERS.contains(&key.as_str())) {
        let detail = format!("has an unknown member: use {}", MEMBERS.join(", "));
        return Err(Problem::bad("/github_app", detail));
    }
    let members = Members(document);
    let github_app = GithubApp::new(
        members.text("app_id")?.unwrap_or_default(),
        members.number("installation_id")?,
        members.text("owner")?,
        members.flag("per_repository")?,
        members.text("api_url")?,
    )
    .map_err(|error| bad(error.member, error.why))?;
    may.check(&github_app.api_url).map_err(|why| bad("api_url", why))?;
    let key = members.text("private_key")?;
    let key = key.filter(|key| !key.trim().is_empty() && key.len() <= LONGEST_KEY);
    let private_key = key.map(SecretString::from);
    let private_key = private_key
        .ok_or_else(|| bad("private_key", "is required: the PEM file that GitHub gave"))?;
    AppKey::parse(&private_key).map_err(|error| bad("private_key", error.to_string()))?;
    Ok(SecretContent::GithubApp { app: github_app, private_key })
}

/// Webhooks that are there already must not have the secret where a token may not stand.
///
/// # Errors
/// 400: one has; it is named.
pub(super) fn unused_elsewhere(
    table: Option<WebhookTable>,
    name: &str,
    may: AppTargets<'_>,
) -> Result<(), Problem> {
    for stored in table.into_iter().flat_map(|table| table.webhooks) {
        let webhook = &stored.webhook;
        if let Some((_, member, why)) =
            app_misuse(&webhook.request, &webhook.extensions, |used| used == name, may)
        {
            let detail = format!("the webhook {}, {member}: {why}", webhook.uuid);
            return Err(Problem::bad("/github_app", detail));
        }
    }
    Ok(())
}

fn bad(member: &str, detail: impl Into<String>) -> Problem {
    Problem::bad(format!("/github_app/{member}"), detail)
}

/// Members of the document, each of which may be missing or null.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    fn given(&self, member: &str) -> Option<&'a Value> {
        self.0.get(member).filter(|value| !value.is_null())
    }

    fn text(&self, member: &str) -> Result<Option<&'a str>, Problem> {
        self.read(member, "a string", Value::as_str)
    }

    fn number(&self, member: &str) -> Result<Option<u64>, Problem> {
        self.read(member, "a whole number", Value::as_u64)
    }

    fn flag(&self, member: &str) -> Result<bool, Problem> {
        Ok(self.read(member, "true or false", Value::as_bool)?.unwrap_or_default())
    }

    fn read<T>(
        &self,
        member: &str,
        wanted: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let told = |value: &'a Value| {
            read(value).ok_or_else(|| bad(member, format!("must be {wanted}, not {}", kind(value))))
        };
        self.given(member).map(told).transpose()
    }
}
