//! Which lane a webhook's deliveries go in, and which limit that lane has.

use serde_json::Value;
use url::Url;

use crate::placeholder::{first_user_name, replace_all};
use crate::{Body, HostPatterns, LaneLimits, Rate, RequestTemplate};

/// What a value of the event begins with in a template.
const FROM_EVENT: &str = "${pactbroker.";

/// Query parameters that hold credentials at well-known services.
const CREDENTIAL_PARAMETERS: [&str; 11] = [
    "token",
    "access_token",
    "api_key",
    "apikey",
    "key",
    "sig",
    "signature",
    "secret",
    "code",
    "private_token",
    "circle-token",
];

/// The settings about lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRules {
    /// Hosts to which GitHub's limits apply.
    pub github_hosts: HostPatterns,
    /// The limits of their lanes.
    pub github: LaneLimits,
    /// The limits of all other lanes.
    pub other: LaneLimits,
    /// Exceptions; the first that matches a lane counts.
    pub overrides: Vec<LaneRule>,
}

/// One exception: other limits, or one limit for several lanes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaneRule {
    /// Lanes by their own name, `host[:port]/credential`; `*` stands for any run of
    /// characters. Hosts are in lower case.
    pub matches: Vec<String>,
    /// Joins the limits of the lanes under this name: together they keep one rate, and a pause is
    /// for all of them. Each keeps its own fate.
    pub name: Option<String>,
    /// Instead of the default rate.
    pub rate: Option<Rate>,
    /// Instead of the default burst.
    pub burst: Option<u32>,
    /// Instead of the default concurrency.
    pub concurrency: Option<u32>,
    /// Requests in any 60 minutes.
    pub per_hour: Option<u32>,
}

/// Where a request's deliveries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanePlace {
    /// The lane's name.
    pub lane: String,
    /// The name of the lane's limit; the lane's own unless settings join lanes.
    pub limit: String,
    /// What that limit allows.
    pub limits: LaneLimits,
}

/// A request whose lane can't be told. The messages don't hold the URL: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// Its URL can't be parsed, even with its placeholders filled in.
    #[error("the URL is not valid: {0}")]
    InvalidUrl(#[from] url::ParseError),
    /// Its URL names no host.
    #[error("the URL has no host")]
    NoHost,
    /// The lane would depend on the event.
    #[error("the URL has a placeholder in its host")]
    PlaceholderInHost,
}

impl Default for LaneRules {
    fn default() -> Self {
        Self {
            github_hosts: HostPatterns::github(),
            github: LaneLimits::GITHUB,
            other: LaneLimits::OTHER,
            overrides: Vec::new(),
        }
    }
}

impl LaneRules {
    /// The lane that a request's deliveries go in, `host[:port]/credential`, with its limit.
    /// `short_hash` makes 8 hexadecimal digits, with a key, of a credential that stands in the
    /// request itself, so that lanes of different credentials differ and none is shown.
    pub fn lane(
        &self,
        request: &RequestTemplate,
        short_hash: &dyn Fn(&str) -> String,
    ) -> Result<LanePlace, LaneError> {
        let url = parse_template(&request.url)?;
        let lane = format!("{}/{}", host_and_port(&url)?, credential(request, short_hash));
        let (limit, limits) = self.limit_of(&lane);
        Ok(LanePlace { lane, limit, limits })
    }

    /// The name of a lane's limit, and what it allows: the name that an exception joins the lane
    /// under, else the lane's own.
    pub fn limit_of(&self, lane: &str) -> (String, LaneLimits) {
        let joined = self.rule_for(lane).and_then(|rule| rule.name.clone());
        let limit = joined.unwrap_or_else(|| lane.to_owned());
        let limits = self.limits_for(&limit);
        (limit, limits)
    }

    /// What a limit allows by its name, be it a lane's or one that an exception gives. Lanes
    /// joined under one name have GitHub's defaults if any of them may be at GitHub.
    fn limits_for(&self, name: &str) -> LaneLimits {
        let named = self.overrides.iter().find(|rule| rule.name.as_deref() == Some(name));
        if let Some(rule) = named {
            let defaults = if self.may_be_github(rule) { self.github } else { self.other };
            return rule.applied_to(defaults);
        }
        let host = name.rsplit_once('/').map_or(name, |(host, _)| host);
        let defaults = if self.github_hosts.matches(host) { self.github } else { self.other };
        self.rule_for(name).map_or(defaults, |rule| rule.applied_to(defaults))
    }

    fn rule_for(&self, own_name: &str) -> Option<&LaneRule> {
        self.overrides
            .iter()
            .find(|rule| rule.matches.iter().any(|glob| glob_matches(glob, own_name)))
    }

    fn may_be_github(&self, rule: &LaneRule) -> bool {
        rule.matches.iter().any(|glob| {
            let host = glob.rsplit_once('/').map_or(glob.as_str(), |(host, _)| host);
            self.github_hosts.matches(host)
                || self.github_hosts.words().any(|word| glob_matches(host, word))
        })
    }
}

impl LaneRule {
    fn applied_to(&self, defaults: LaneLimits) -> LaneLimits {
        LaneLimits {
            rate: self.rate.unwrap_or(defaults.rate),
            burst: self.burst.unwrap_or(defaults.burst).max(1),
            concurrency: self.concurrency.unwrap_or(defaults.concurrency).max(1),
            per_hour: self.per_hour.or(defaults.per_hour),
        }
    }
}

/// Whether a header of this name holds a credential (Pact Broker 2.120 stars those named like
/// authorization or token).
pub fn is_credential_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("authorization") || name.contains("token")
}

/// The URL with stand-ins for its placeholders. Two different stand-ins show whether the host
/// depends on one, as in Pact Broker 2.120.
fn parse_template(template: &str) -> Result<Url, LaneError> {
    let url = Url::parse(&replace_all(template, "a"))?;
    let other = Url::parse(&replace_all(template, "b"))?;
    if url.host() == other.host() && url.scheme() == other.scheme() {
        Ok(url)
    } else {
        Err(LaneError::PlaceholderInHost)
    }
}

fn host_and_port(url: &Url) -> Result<String, LaneError> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(LaneError::NoHost)?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn credential(request: &RequestTemplate, short_hash: &dyn Fn(&str) -> String) -> String {
    if let Some(name) = secret_name(request) {
        return name;
    }
    if let Some(basic) = basic(request).or_else(|| user_info(&request.url)) {
        return format!("basic-{}", short_hash(&basic));
    }
    if let Some(value) = in_header(request).or_else(|| in_query(&request.url)) {
        return format!("inline-{}", short_hash(value));
    }
    "none".to_owned()
}

/// The first `${user.NAME}`: in Authorization, password and user name, other headers, body,
/// URL, in this order.
fn secret_name(request: &RequestTemplate) -> Option<String> {
    let is_authorization = |name: &str| name.eq_ignore_ascii_case("authorization");
    let (authorization, others): (Vec<_>, Vec<_>) =
        request.headers.iter().partition(|(name, _)| is_authorization(name));
    let in_headers = |headers: Vec<&(String, String)>| {
        headers.into_iter().find_map(|(_, value)| owned_user_name(value))
    };
    in_headers(authorization)
        .or_else(|| request.password.as_deref().and_then(owned_user_name))
        .or_else(|| request.username.as_deref().and_then(owned_user_name))
        .or_else(|| in_headers(others))
        .or_else(|| request.body.as_ref().and_then(in_body))
        .or_else(|| owned_user_name(&request.url))
}

fn owned_user_name(text: &str) -> Option<String> {
    first_user_name(text).map(str::to_owned)
}

fn in_body(body: &Body) -> Option<String> {
    match body {
        Body::Text(text) => owned_user_name(text),
        Body::Json(value) => in_json(value),
    }
}

/// Recursion is as deep as the JSON parser let the document be.
fn in_json(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(text) => owned_user_name(text),
        Value::Array(items) => items.iter().find_map(in_json),
        Value::Object(members) => {
            members.iter().find_map(|(key, value)| owned_user_name(key).or_else(|| in_json(value)))
        }
    }
}

/// User name and password, unless the event fills in what is secret of them.
fn basic(request: &RequestTemplate) -> Option<String> {
    let username = request.username.as_deref().unwrap_or_default();
    let password = request.password.as_deref().unwrap_or_default();
    pair(username, password)
}

fn user_info(template: &str) -> Option<String> {
    let url = parse_template(template).ok()?;
    let has_any = !url.username().is_empty() || url.password().is_some();
    // The parsed one has stand-ins for its placeholders; the written one tells whether it had any.
    let (_, rest) = template.split_once("://").filter(|_| has_any)?;
    let (info, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    let (username, password) = info.split_once(':').unwrap_or((info, ""));
    pair(username, password)
}

fn pair(username: &str, password: &str) -> Option<String> {
    let secret = if password.is_empty() { username } else { password };
    let is_given = !secret.is_empty() && !secret.contains(FROM_EVENT);
    is_given.then(|| format!("{username}:{password}"))
}

/// The credential written into a header; its scheme is left out, for `token x` and `Bearer x`
/// are the same to GitHub.
fn in_header(request: &RequestTemplate) -> Option<&str> {
    let values = request.headers.iter().filter(|(name, _)| is_secret_header(name));
    let value = values.map(|(_, value)| value.trim()).find(|value| !value.is_empty())?;
    let after_scheme = value.split_once(' ').filter(|(scheme, _)| {
        ["bearer", "token", "basic"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    });
    Some(after_scheme.map_or(value, |(_, credential)| credential.trim()))
}

/// Whether a header of this name may hold a credential: more names than a broker stars. What is
/// written there without a variable is one.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "token", "api-key", "apikey", "secret"].iter().any(|word| name.contains(word))
}

/// Whether a credential is written into the URL's query, in a parameter of a name that is known
/// to hold one.
pub fn has_credential_parameter(url: &str) -> bool {
    in_query(url).is_some()
}

/// The credential written into a query.
fn in_query(template: &str) -> Option<&str> {
    let (_, query) = template.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, value)| {
        let is_known = CREDENTIAL_PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(name));
        is_known && !value.is_empty() && !value.contains(FROM_EVENT)
    });
    values.next().map(|(_, value)| value)
}

/// Whether the text is the glob with any run of characters for each `*`.
fn glob_matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
