//! A document meets what is stored: defaults, and the secrets that a reader of the redacted
//! document can't send back (Pact Broker 2.120: `webhooks/service.rb`).

use jiff::Timestamp;
use postrider_domain::{
    EventName, Extensions, RequestTemplate, Webhook, WebhookUuid, is_all_stars, is_starred_or_empty,
};
use postrider_render::is_token;

use crate::broker_api::draft::{Draft, DraftRequest, Member};
use crate::broker_api::faults::Errors;
use crate::broker_api::url::{parameters, place, user_info, with_parameters, with_user_info};

/// The webhook to store. On replacement a description, events and `postrider` that are not
/// mentioned are kept; consumer, provider, team and the request are replaced, but for starred secrets.
///
/// # Errors
/// A starred value would go elsewhere than the stored one it stands for, or be shown.
pub(super) fn apply(
    draft: Draft,
    uuid: WebhookUuid,
    old: Option<Webhook>,
    now: Timestamp,
) -> Result<Webhook, Errors> {
    if let Some(old) = &old {
        stays(&draft.request, &old.request)?;
        stays_hidden(&draft.request, &old.request)?;
    }
    let created_at = old.as_ref().map_or(now, |old| old.created_at);
    let (old_description, old_events, old_request, old_extensions) = match old {
        Some(old) => (old.description, Some(old.events), Some(old.request), old.extensions),
        None => (None, None, None, Extensions::default()),
    };
    Ok(Webhook {
        uuid,
        description: match draft.description {
            Member::Missing => old_description,
            Member::Null => None,
            Member::Given(text) => Some(text),
        },
        consumer: draft.consumer,
        provider: draft.provider,
        enabled: draft.enabled,
        events: draft
            .events
            .or(old_events)
            .unwrap_or_else(|| vec![EventName::ContractContentChanged]),
        request: request(draft.request, old_request.as_ref()),
        team_uuid: draft.team_uuid,
        extensions: match draft.extensions {
            Member::Missing => old_extensions,
            Member::Null => Extensions::default(),
            Member::Given(extensions) => extensions,
        },
        created_at,
        updated_at: now,
    })
}

fn request(draft: DraftRequest, old: Option<&RequestTemplate>) -> RequestTemplate {
    RequestTemplate {
        method: draft.method,
        url: url(draft.url, old),
        headers: headers(draft.headers, old),
        body: draft.body,
        body_mode: draft.body_mode,
        username: username(draft.username, old),
        password: password(draft.password, old),
    }
}

/// Stars stand for a stored value only where it went before: else whoever may change a webhook
/// without knowing its secrets could have them sent to himself. A password that is not
/// mentioned goes on to other paths of its host, as clients expect.
fn stays(draft: &DraftRequest, old: &RequestTemplate) -> Result<(), Errors> {
    let (now, before) = (place(&draft.url), place(&old.url));
    if now == before {
        return Ok(());
    }
    let is_same_host = (&now.0, &now.1) == (&before.0, &before.1);
    let mut errors = Errors::default();
    let mut refuse = |key: &str, what: &str| {
        errors.add(
            key,
            format!(
                "{what} is starred, but request.url leads elsewhere than the stored one: send the \
                 value itself"
            ),
        );
    };
    if starred_info(&draft.url) && user_info(&old.url).is_some() {
        refuse("request.url", "the user information");
    }
    for (name, _) in starred_parameters(&draft.url, &old.url) {
        refuse("request.url", &format!("the parameter {name}"));
    }
    for (name, value) in &draft.headers {
        if is_all_stars(value) && stored_header(old, name).is_some() {
            refuse("request.headers", name);
        }
    }
    let is_starred_user = draft.username.as_deref().is_some_and(is_all_stars);
    if is_starred_user && old.username.is_some() {
        refuse("request.username", "the user name");
    }
    match &draft.password {
        _ if old.password.is_none() => {}
        Member::Given(text) if is_starred_or_empty(text) => {
            refuse("request.password", "the password");
        }
        Member::Missing if !is_same_host => {
            errors.add(
                "request.password",
                "is missing, but request.url leads to another host than the stored one: send it, \
                 or null for none",
            );
        }
        Member::Missing | Member::Null | Member::Given(_) => {}
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// A user name is starred where it is a token, which its password tells (a word such as
/// `x-oauth-basic`, or none): with another password it would be shown.
fn stays_hidden(draft: &DraftRequest, old: &RequestTemplate) -> Result<(), Errors> {
    let stored = old.username.as_deref();
    let stored = stored.filter(|_| draft.username.as_deref().is_some_and(is_all_stars));
    let password = password(draft.password.clone(), Some(old));
    let mut errors = Errors::default();
    if stored.is_some_and(|stored| !is_token(stored, password.as_deref())) {
        let why = "the user name is starred, and would be shown with this password: send it itself";
        errors.add("request.username", why.to_owned());
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Starred only where it is a token; then the stored one.
fn username(given: Option<String>, old: Option<&RequestTemplate>) -> Option<String> {
    let is_hidden = given.as_deref().is_some_and(is_all_stars);
    let stored = old.and_then(|old| old.username.clone());
    if is_hidden { stored.or(given) } else { given }
}

/// Missing or starred keeps the stored one; null clears it.
fn password(given: Member<String>, old: Option<&RequestTemplate>) -> Option<String> {
    let stored = old.and_then(|old| old.password.clone());
    match given {
        Member::Missing => stored,
        Member::Null => None,
        Member::Given(text) if is_starred_or_empty(&text) && stored.is_some() => stored,
        Member::Given(text) => Some(text),
    }
}

fn stored_header<'a>(old: &'a RequestTemplate, name: &str) -> Option<&'a String> {
    let found = old.headers.iter().find(|(stored, _)| stored.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

/// A starred header takes the stored value; if none is stored it is dropped.
fn headers(given: Vec<(String, String)>, old: Option<&RequestTemplate>) -> Vec<(String, String)> {
    let Some(old) = old else { return given };
    given
        .into_iter()
        .filter_map(|(name, value)| {
            let stored = || stored_header(old, &name).cloned();
            let value = if is_starred_or_empty(&value) { stored()? } else { value };
            Some((name, value))
        })
        .collect()
}

fn starred_info(url: &str) -> bool {
    user_info(url).is_some_and(is_all_stars)
}

/// Parameters with stars, and what is stored for them.
fn starred_parameters<'a>(
    given: &'a str,
    old: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    parameters(given).filter(|(_, value)| is_all_stars(value)).filter_map(|(name, _)| {
        let (_, stored) = parameters(old).find(|(stored, _)| *stored == name)?;
        Some((name, stored))
    })
}

/// Starred user information and parameters take the stored ones.
fn url(given: String, old: Option<&RequestTemplate>) -> String {
    let Some(old) = old else { return given };
    let url = match user_info(&old.url) {
        Some(stored) if starred_info(&given) => with_user_info(&given, stored),
        Some(_) | None => given,
    };
    with_parameters(&url, |name, value, nth| {
        let mut stored = parameters(&old.url).filter(|(stored, _)| *stored == name);
        let (_, stored) = stored.nth(nth).filter(|_| is_all_stars(value))?;
        Some(stored.to_owned())
    })
}

#[cfg(test)]
mod tests;
