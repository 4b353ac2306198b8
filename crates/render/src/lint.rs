//! Advice about a webhook before it sends anything: what GitHub would refuse, what would reach
//! the target otherwise than meant, and secrets that stand in the document itself.
//!
//! Findings name places and variables only; none holds a value of the document.

mod bodies;
mod finding;
mod github;
mod secrets;
mod spots;

use std::collections::BTreeSet;

use postrider_domain::{EventName, RequestTemplate, TargetKind};

pub use bodies::body_advice;
pub use finding::{Finding, LintRule, Severity};
pub(crate) use secrets::{is_literal, is_secret_member, is_well_known};

use crate::RenderError;
use crate::body::body_text;
use crate::dispatch;
use crate::inspect::{invalid_filter, unknown_in};
use crate::lint::spots::{Spot, spots};
use crate::template::{Placeholder, Template, is_placeholder};
use crate::url_template::UrlTemplate;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Linted<'a> {
    /// What would be sent. Header names may be in any case.
    pub request: &'a RequestTemplate,
    /// What it is sent for, in the document's order; empty means the broker's default,
    /// `contract_content_changed`.
    pub events: &'a [EventName],
    /// Names of the secrets that have a value; `None` when that is not known.
    pub secrets: Option<&'a BTreeSet<String>>,
}

/// Everything there is to say about a webhook, in the document's order.
pub fn lint(webhook: Linted<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let url = url(webhook.request, &mut findings);
    method(&webhook.request.method, &mut findings);
    for spot in spots(webhook.request) {
        findings.extend(secrets::inline(&spot));
        findings.extend(filter(&spot));
        findings.extend(variables(&spot));
        findings.extend(leftover_dollar(&spot));
        if let Some(known) = webhook.secrets {
            findings.extend(missing_secrets(&spot, known));
        }
    }
    findings.extend(body_advice(webhook.request));
    findings.extend(password_alone(webhook.request));
    if let Some(url) = url {
        findings.extend(github::findings(&url, webhook.request));
        findings.extend(limits(&url, webhook.request));
        findings.extend(events(TargetKind::of(&url), webhook.events));
    }
    findings
}

/// The URL with stand-ins for its placeholders, when it can be sent to.
fn url(request: &RequestTemplate, findings: &mut Vec<Finding>) -> Option<url::Url> {
    let pointer = "/request/url";
    match UrlTemplate::parse(&request.url) {
        Ok(template) => {
            let url = template.stand_in().clone();
            if url.scheme() == "http" {
                let what = "the URL is http: whoever is on the way reads the credential and can \
                            change what is sent, and the default whitelist refuses it";
                findings.push(Finding::new(LintRule::Http, pointer, what, "use https"));
            }
            Some(url)
        }
        Err(error) => {
            let fix = "write https://host/path; placeholders may stand in path and query only";
            findings.push(Finding::new(LintRule::InvalidUrl, pointer, error, fix));
            None
        }
    }
}

fn method(method: &str, findings: &mut Vec<Finding>) {
    if !method.eq_ignore_ascii_case("POST") {
        let what = "the method is not POST, the only one that brokers allow by default and that \
                    dispatches take";
        let fix = "use POST, or allow the method with POSTRIDER_WEBHOOK_HTTP_METHOD_WHITELIST";
        findings.push(Finding::new(LintRule::Method, "/request/method", what, fix));
    }
}

fn filter(spot: &Spot<'_>) -> Option<Finding> {
    let invalid = invalid_filter(&spot.text)?;
    let fix = "write one filter right behind the |, e.g. ${pactbroker.consumerName|json}";
    Some(Finding::new(LintRule::InvalidFilter, &spot.pointer, invalid, fix))
}

/// `$${…}`: of two signs the first stays (Pact Broker 2.120 has no escape).
fn leftover_dollar(spot: &Spot<'_>) -> Option<Finding> {
    let has_one = spot
        .text
        .split("$${")
        .skip(1)
        .any(|after| after.split_once('}').is_some_and(|(inner, _)| is_placeholder(inner)));
    has_one.then(|| {
        let what = "$${ is no escape: a $ is sent in front of the value";
        Finding::new(LintRule::LeftoverDollar, &spot.pointer, what, "write ${ with one $")
    })
}

fn password_alone(request: &RequestTemplate) -> Option<Finding> {
    let is_filled = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let is_alone = is_filled(&request.password) && !is_filled(&request.username);
    is_alone.then(|| {
        let what = "a password without a user name: it is sent as Basic :password, which no \
                    broker does, and gives way to a header Authorization";
        let fix = "set request.username too; where any will do, e.g. at Azure DevOps, write x";
        Finding::new(LintRule::PasswordAlone, "/request/password", what, fix)
    })
}

fn variables<'a>(spot: &'a Spot<'_>) -> impl Iterator<Item = Finding> + 'a {
    unknown_in(&spot.text).map(|unknown| {
        let what =
            format!("${{{}}} is no variable and would be sent as it is written", unknown.name);
        let fix = match unknown.nearest {
            Some(nearest) => format!("write ${{{nearest}}}"),
            None => "remove it, or write one of the broker's variables".to_owned(),
        };
        Finding::new(LintRule::UnknownVariable, &spot.pointer, what, fix)
    })
}

fn missing_secrets(spot: &Spot<'_>, known: &BTreeSet<String>) -> Vec<Finding> {
    let template = Template::parse(&spot.text);
    let missing = template.placeholders().filter_map(|placeholder| match placeholder {
        Placeholder::Secret(name) if !known.contains(name) => Some(name),
        Placeholder::Secret(_) | Placeholder::Broker(_) | Placeholder::DeliveryId => None,
    });
    missing
        .map(|name| {
            let what = format!("the secret {name} has no value, so its lane will be held");
            let fix = format!("postrider secrets set {name}");
            Finding::new(LintRule::UnknownSecret, &spot.pointer, what, fix)
        })
        .collect()
}

/// GitHub's limits, checked on the body with one character for each placeholder: what is too
/// long then is too long with any values.
fn limits(url: &url::Url, request: &RequestTemplate) -> Option<Finding> {
    let text = request.body.as_ref().and_then(body_text)?;
    let body = Template::parse(&text).with_stand_in("x");
    let error = dispatch::check(url, Some(body.as_bytes())).err()?;
    let (rule, pointer, fix) = match &error {
        RenderError::EventType { .. } => {
            (LintRule::EventType, "/request/body/event_type", "shorten it")
        }
        RenderError::PayloadKeys { .. } => (
            LintRule::PayloadKeys,
            "/request/body/client_payload",
            "nest some of the keys in one object: nested keys don't count",
        ),
        _ => (LintRule::BodySize, "/request/body", "send less, e.g. the pact's URL alone"),
    };
    Some(Finding::new(rule, pointer, error, fix))
}

fn events(kind: TargetKind, events: &[EventName]) -> Vec<Finding> {
    if !kind.is_github() {
        return Vec::new();
    }
    let named = |(index, name): (usize, &EventName)| {
        let why = noisy(*name)?;
        Some((format!("/events/{index}/name"), format!("a dispatch on {name} {why}")))
    };
    let mut found: Vec<(String, String)> = events.iter().enumerate().filter_map(named).collect();
    if events.is_empty() {
        let name = EventName::ContractContentChanged;
        let why = noisy(name).unwrap_or_default();
        found.push(("/events".to_owned(), format!("without events it is {name}, which {why}")));
    }
    let fix = "subscribe to contract_requiring_verification_published";
    found
        .into_iter()
        .map(|(pointer, what)| Finding::new(LintRule::DispatchEvent, pointer, what, fix))
        .collect()
}

/// Why an event should not start a verification; `None` for those that may.
fn noisy(name: EventName) -> Option<&'static str> {
    match name {
        EventName::ContractPublished => Some(
            "starts a build for every publication, also of contracts verified long ago, and does \
             not say which provider version to verify",
        ),
        EventName::ContractContentChanged => Some(
            "starts a build for every new tag or branch, also of contracts verified long ago, and \
             does not say which provider version to verify",
        ),
        EventName::ContractRequiringVerificationPublished
        | EventName::ProviderVerificationPublished
        | EventName::ProviderVerificationSucceeded
        | EventName::ProviderVerificationFailed
        | EventName::Test => None,
    }
}
