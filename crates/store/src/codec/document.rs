//! A webhook's document as JSON text. Values that may be secrets are sealed inside it: the
//! password, values of headers that are named as if they held a credential, a URL with user info or
//! with a credential in its query.

use jiff::Timestamp;
use postrider_domain::{
    Body, BodyMode, EventName, Extensions, RequestTemplate, Selector, Webhook, WebhookUuid,
    has_credential_parameter, is_secret_header,
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::seal::Sealed;
use crate::{MasterKey, StoreError};

#[derive(Serialize, Deserialize)]
struct Document {
    description: Option<String>,
    consumer: Option<Selector>,
    provider: Option<Selector>,
    enabled: bool,
    events: Vec<EventName>,
    request: Request,
    team_uuid: Option<String>,
    #[serde(default, skip_serializing_if = "is_empty")]
    postrider: Extensions,
}

fn is_empty(extensions: &Extensions) -> bool {
    extensions.document().is_none()
}

#[derive(Serialize, Deserialize)]
struct Request {
    method: String,
    url: Text,
    headers: Vec<(String, Text)>,
    body: Option<StoredBody>,
    body_mode: BodyMode,
    username: Option<String>,
    password: Option<Text>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Text {
    Plain(String),
    Sealed(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredBody {
    Json(Value),
    Text(String),
}

/// Seals or opens the fields of one webhook.
struct Sealer<'a> {
    /// None: there is nothing to seal.
    key: Option<&'a MasterKey>,
    uuid: &'a WebhookUuid,
}

impl Sealer<'_> {
    fn text(&self, field: &str, clear: &str, secret: bool) -> Result<Text, StoreError> {
        match self.key.filter(|_| secret && !clear.is_empty()) {
            Some(key) => key.seal(Sealed::Inline, &self.name(field), clear).map(Text::Sealed),
            None => Ok(Text::Plain(clear.to_owned())),
        }
    }

    fn clear(&self, field: &str, text: Text) -> Result<String, StoreError> {
        match text {
            Text::Plain(clear) => Ok(clear),
            Text::Sealed(sealed) => {
                let no_key = || StoreError::Corrupt(format!("{} is sealed", self.name(field)));
                let key = self.key.ok_or_else(no_key)?;
                let clear = key.open(Sealed::Inline, &self.name(field), &sealed)?;
                Ok(clear.expose_secret().to_owned())
            }
        }
    }

    fn name(&self, field: &str) -> String {
        format!("{}/{field}", self.uuid)
    }
}

/// The text to keep for a webhook.
pub(crate) fn seal_webhook(webhook: &Webhook, key: &MasterKey) -> Result<String, StoreError> {
    let sealer = Sealer { key: Some(key), uuid: &webhook.uuid };
    write(webhook, &sealer)
}

/// The text to keep for a webhook in which nothing is secret any more.
pub(crate) fn clear_webhook(webhook: &Webhook) -> Result<String, StoreError> {
    write(webhook, &Sealer { key: None, uuid: &webhook.uuid })
}

fn write(webhook: &Webhook, sealer: &Sealer<'_>) -> Result<String, StoreError> {
    let document = Document {
        description: webhook.description.clone(),
        consumer: webhook.consumer.clone(),
        provider: webhook.provider.clone(),
        enabled: webhook.enabled,
        events: webhook.events.clone(),
        request: seal_request(&webhook.request, sealer)?,
        team_uuid: webhook.team_uuid.clone(),
        postrider: webhook.extensions.clone(),
    };
    serde_json::to_string(&document)
        .map_err(|error| StoreError::Unusable(format!("the webhook can't be written: {error}")))
}

fn seal_request(request: &RequestTemplate, sealer: &Sealer<'_>) -> Result<Request, StoreError> {
    let headers = request.headers.iter().map(|(name, value)| {
        let text = sealer.text(&header_field(name), value, is_secret_header(name))?;
        Ok((name.clone(), text))
    });
    Ok(Request {
        method: request.method.clone(),
        url: sealer.text("url", &request.url, is_secret_url(&request.url))?,
        headers: headers.collect::<Result<_, StoreError>>()?,
        body: request.body.as_ref().map(|body| match body {
            Body::Json(value) => StoredBody::Json(value.clone()),
            Body::Text(text) => StoredBody::Text(text.clone()),
        }),
        body_mode: request.body_mode,
        username: request.username.clone(),
        password: match &request.password {
            Some(password) => Some(sealer.text("password", password, true)?),
            None => None,
        },
    })
}

/// The webhook that a kept text is.
pub(crate) fn open_webhook(
    text: &str,
    uuid: WebhookUuid,
    created_at: Timestamp,
    updated_at: Timestamp,
    key: &MasterKey,
) -> Result<Webhook, StoreError> {
    let document: Document = serde_json::from_str(text)
        .map_err(|_| StoreError::Corrupt(format!("the document of webhook {uuid}")))?;
    let request = open_request(document.request, &Sealer { key: Some(key), uuid: &uuid })?;
    Ok(Webhook {
        uuid,
        description: document.description,
        consumer: document.consumer,
        provider: document.provider,
        enabled: document.enabled,
        events: document.events,
        request,
        team_uuid: document.team_uuid,
        extensions: document.postrider,
        created_at,
        updated_at,
    })
}

fn open_request(request: Request, sealer: &Sealer<'_>) -> Result<RequestTemplate, StoreError> {
    let headers = request.headers.into_iter().map(|(name, value)| {
        let clear = sealer.clear(&header_field(&name), value)?;
        Ok((name, clear))
    });
    Ok(RequestTemplate {
        method: request.method,
        url: sealer.clear("url", request.url)?,
        headers: headers.collect::<Result<_, StoreError>>()?,
        body: request.body.map(|body| match body {
            StoredBody::Json(value) => Body::Json(value),
            StoredBody::Text(text) => Body::Text(text),
        }),
        body_mode: request.body_mode,
        username: request.username,
        password: request.password.map(|text| sealer.clear("password", text)).transpose()?,
    })
}

fn header_field(name: &str) -> String {
    format!("header/{}", name.to_ascii_lowercase())
}

fn is_secret_url(url: &str) -> bool {
    has_user_info(url) || has_credential_parameter(url)
}

/// Whether a URL carries `user:password@`. The text is a template, so it is looked at as an
/// URL parser would, but not parsed: scheme, any slashes, authority up to the next delimiter.
fn has_user_info(url: &str) -> bool {
    let Some((_, rest)) = url.split_once(':') else {
        return false;
    };
    let authority = rest.trim_start_matches(['/', '\\']).split(['/', '\\', '?', '#']).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

/// What people call a webhook: its description, or `<METHOD> <host>` when that is blank.
pub(crate) fn shown_name(webhook: &Webhook) -> String {
    let blank = |text: &&String| !text.trim().is_empty();
    webhook.description.as_ref().filter(blank).cloned().unwrap_or_else(|| {
        let (_, rest) = webhook.request.url.split_once(':').unwrap_or(("", &webhook.request.url));
        let authority =
            rest.trim_start_matches(['/', '\\']).split(['/', '\\', '?', '#']).next().unwrap_or("");
        let host = authority.rsplit('@').next().unwrap_or(authority);
        format!("{} {host}", webhook.request.method.to_uppercase())
    })
}
