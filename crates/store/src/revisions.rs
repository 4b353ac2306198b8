//! What a webhook's request was before it was changed, for requests that are rendered again.
//!
//! A document that a change supersedes is kept until no attempt is left that may have used it.
//! Credentials written into it are starred then: a leaked token that was replaced must not live
//! on. The document in force stands in the webhook itself, sealed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postrider_domain::{Body, RequestTemplate, Webhook, is_credential_header};
use postrider_render::Redactor;
use uuid::Uuid;

use crate::{MasterKey, StoreError, codec};

/// What stands in a credential's place.
const STARS: &str = "********";

/// An attempt under way may use a document that has just been superseded, and ids carry the clock
/// of the host that took the event in.
const MARGIN: Duration = Duration::from_hours(24);

/// The text to keep for a document that is superseded; `None` when its request stays the same,
/// so that the new one says all.
pub(crate) fn superseded(old: &Webhook, new: &Webhook) -> Result<Option<String>, StoreError> {
    if old.request == new.request {
        return Ok(None);
    }
    let starred = Webhook { request: starred(&old.request), ..old.clone() };
    codec::clear_webhook(&starred).map(Some)
}

/// Two documents of one webhook's row: the one in force and, when the revision asked for is an
/// older one, that.
pub(crate) struct Documents {
    pub(crate) uuid: String,
    pub(crate) in_force: String,
    pub(crate) superseded: Option<String>,
}

impl Documents {
    /// The request as it was, credentials starred.
    pub(crate) fn request(self, key: &MasterKey) -> Result<RequestTemplate, StoreError> {
        let uuid = codec::webhook_uuid(&self.uuid)?;
        let text = self.superseded.as_ref().unwrap_or(&self.in_force);
        let never = Timestamp::UNIX_EPOCH;
        let webhook = codec::open_webhook(text, uuid, never, never, key)?;
        Ok(match self.superseded {
            Some(_) => webhook.request,
            None => starred(&webhook.request),
        })
    }
}

/// Before this, no superseded document is needed: `oldest` is the first delivery of which attempts
/// are kept.
pub(crate) fn needed_since(oldest: Option<Uuid>, now: Timestamp) -> Timestamp {
    let made = oldest.and_then(|id| id.get_timestamp()).and_then(|at| {
        let (seconds, _) = at.to_unix();
        Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
    });
    let first = match (oldest, made) {
        // An id that tells no time may be of any.
        (Some(_), None) => Timestamp::UNIX_EPOCH,
        (None, _) => now,
        (Some(_), Some(made)) => made.min(now),
    };
    let day = first.to_zoned(TimeZone::UTC).start_of_day().map_or(first, |day| day.timestamp());
    day.saturating_sub(MARGIN).unwrap_or(Timestamp::MIN)
}

/// The request without the credentials that are written into it, wherever they stand.
fn starred(request: &RequestTemplate) -> RequestTemplate {
    let redactor = Redactor::for_request(request, &BTreeMap::new(), &[]);
    let clean = |text: &str| redactor.redact(text).into_owned();
    let header = |(name, value): &(String, String)| {
        let is_hidden = is_credential_header(name) && !value.is_empty();
        (name.clone(), if is_hidden { STARS.to_owned() } else { clean(value) })
    };
    RequestTemplate {
        method: request.method.clone(),
        url: clean(&without_user_info(&request.url)),
        headers: request.headers.iter().map(header).collect(),
        body: request.body.as_ref().map(|body| starred_body(body, &redactor)),
        body_mode: request.body_mode,
        username: request.username.as_deref().map(clean),
        password: request.password.as_ref().map(|_| STARS.to_owned()),
    }
}

/// Stars may come in where no JSON string is; the rest is text then.
fn starred_body(body: &Body, redactor: &Redactor) -> Body {
    match body {
        Body::Text(text) => Body::Text(redactor.redact(text).into_owned()),
        Body::Json(value) => {
            let text = value.to_string();
            let starred = redactor.redact(&text);
            serde_json::from_str(&starred)
                .map_or_else(|_| Body::Text(starred.into_owned()), Body::Json)
        }
    }
}

/// A URL with stars for `user:password`; looked at as the sealing of documents does.
fn without_user_info(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else {
        return url.to_owned();
    };
    let authority_at = rest.len() - rest.trim_start_matches(['/', '\\']).len();
    let (slashes, rest) = rest.split_at(authority_at);
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}:{slashes}{STARS}:{STARS}@{host}{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
