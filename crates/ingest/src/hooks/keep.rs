//! A document meets what is stored: defaults, and the secrets that a reader of the redacted
//! document can't send back (Pact Broker 2.120: `webhooks/service.rb`).

use jiff::Timestamp;
use postrider_domain::{EventName, RequestTemplate, Webhook, WebhookUuid};

use crate::hooks::draft::{Draft, DraftRequest, Member};
use crate::hooks::url::{user_info, with_user_info};

/// The webhook to store. On replacement a description and events that are not mentioned are
/// kept; consumer, provider, team and the request are replaced, but for starred secrets.
pub(super) fn apply(
    draft: Draft,
    uuid: WebhookUuid,
    old: Option<Webhook>,
    now: Timestamp,
) -> Webhook {
    let (old_description, old_events, old_request, created_at) = match old {
        Some(old) => (old.description, Some(old.events), Some(old.request), old.created_at),
        None => (None, None, None, now),
    };
    Webhook {
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
        created_at,
        updated_at: now,
    }
}

fn request(draft: DraftRequest, old: Option<&RequestTemplate>) -> RequestTemplate {
    RequestTemplate {
        method: draft.method,
        url: url(draft.url, old),
        headers: headers(draft.headers, old),
        body: draft.body,
        body_mode: draft.body_mode,
        username: draft.username,
        password: password(draft.password, old),
    }
}

/// Stars only, or nothing: what a redacted document holds in a secret's place.
pub(super) fn is_starred(value: &str) -> bool {
    value.bytes().all(|b| b == b'*')
}

/// Missing or starred keeps the stored one; null clears it.
fn password(given: Member<String>, old: Option<&RequestTemplate>) -> Option<String> {
    let stored = old.and_then(|old| old.password.clone());
    match given {
        Member::Missing => stored,
        Member::Null => None,
        Member::Given(text) if is_starred(&text) && stored.is_some() => stored,
        Member::Given(text) => Some(text),
    }
}

/// A starred header takes the stored value; if none is stored it is dropped.
fn headers(given: Vec<(String, String)>, old: Option<&RequestTemplate>) -> Vec<(String, String)> {
    let Some(old) = old else { return given };
    let stored = |name: &str| {
        let found = old.headers.iter().find(|(stored, _)| stored.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    given
        .into_iter()
        .filter_map(|(name, value)| {
            let value = if is_starred(&value) { stored(&name)? } else { value };
            Some((name, value))
        })
        .collect()
}

/// Starred user information in the URL takes the stored one.
fn url(given: String, old: Option<&RequestTemplate>) -> String {
    let starred = user_info(&given).is_some_and(|info| !info.is_empty() && is_starred(info));
    match old.and_then(|old| user_info(&old.url)) {
        Some(stored) if starred => with_user_info(&given, stored),
        Some(_) | None => given,
    }
}

#[cfg(test)]
mod tests;
