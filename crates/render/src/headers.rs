//! The request's headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use postrider_domain::{RequestTemplate, is_transport_header};

use crate::encode::Encoding;
use crate::template::{Filled, Template, Values};
use crate::{Place, RenderError};

/// Longest header value sent, in bytes; servers refuse them at 8 to 64 KiB.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Not the webhook's to set: how the message is framed is the HTTP client's business, and an
/// answer that was asked for in compressed form could be neither read nor searched for secrets.
const IGNORED: [HeaderName; 8] =
    [ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

#[derive(Clone)]
pub(crate) struct HeaderTemplates {
    list: Vec<HeaderTemplate>,
    basic: Option<BasicAuth>,
}

#[derive(Clone)]
struct HeaderTemplate {
    name: HeaderName,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Fixed(HeaderValue),
    Variable { template: Template, sensitive: bool },
}

#[derive(Clone)]
struct BasicAuth {
    username: Template,
    password: Template,
}

/// What the rest of the request has to say about its headers.
pub(crate) struct Defaults<'a> {
    pub(crate) user_agent: &'a str,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) user_info: Option<Vec<u8>>,
}

/// Names whose values are never shown where requests are (Pact Broker 2.120 stars two of them). It
/// is asked of each header of each request that is kept, so that it looks at a name once.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.iter().enumerate().any(|(at, first)| {
        let words: &[&str] = match first.to_ascii_lowercase() {
            b'a' => &["authorization", "api-key", "apikey"],
            b't' => &["token"],
            b's' => &["secret"],
            _ => return false,
        };
        words.iter().any(|word| {
            let part = bytes.get(at..at + word.len());
            part.is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        })
    })
}

impl HeaderTemplates {
    pub(crate) fn parse(request: &RequestTemplate) -> Result<Self, RenderError> {
        let mut list = Vec::with_capacity(request.headers.len());
        for (index, (name, value)) in request.headers.iter().enumerate() {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| RenderError::InvalidHeaderName { position: index + 1 })?;
            // The host is the URL's to choose, and an event's values must not.
            if name == HOST && !Template::parse(value).is_fixed() {
                return Err(RenderError::VariableInHostHeader);
            }
            if !IGNORED.contains(&name) && !is_transport_header(name.as_str()) {
                list.push(HeaderTemplate { value: Value::parse(&name, value)?, name });
            }
        }
        Ok(Self { list, basic: BasicAuth::parse(request) })
    }

    /// `accept`, `user-agent` and `content-type` give way to the webhook's own headers; its
    /// own `authorization` wins over the URL's user info, and username and password win over
    /// both (Pact Broker 2.120). A password without a user name, which the broker never sends,
    /// is sent unless there is another `authorization`.
    pub(crate) fn fill(
        &self,
        values: &Values<'_>,
        defaults: Defaults<'_>,
    ) -> Result<HeaderMap, RenderError> {
        let mut headers = HeaderMap::with_capacity(self.list.len() + 4);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(content_type) = defaults.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(user_info) = defaults.user_info {
            headers.insert(AUTHORIZATION, basic_value(&user_info)?);
        }
        for header in &self.list {
            headers.insert(header.name.clone(), header.value.fill(&header.name, values)?);
        }
        if headers.get(USER_AGENT).is_none_or(HeaderValue::is_empty) {
            headers.insert(USER_AGENT, header_value(&USER_AGENT, defaults.user_agent)?);
        }
        if let Some(pair) =
            self.basic.as_ref().map(|basic| basic.fill(values)).transpose()?.flatten()
            && (!pair.starts_with(b":") || !headers.contains_key(AUTHORIZATION))
        {
            headers.insert(AUTHORIZATION, basic_value(&pair)?);
        }
        Ok(headers)
    }
}

impl Value {
    fn parse(name: &HeaderName, text: &str) -> Result<Self, RenderError> {
        let template = Template::parse(text);
        let sensitive = is_secret_name(name.as_str()) || template.has_secret();
        if !template.is_fixed() {
            return Ok(Self::Variable { template, sensitive });
        }
        let mut value = header_value(name, text)?;
        value.set_sensitive(sensitive);
        Ok(Self::Fixed(value))
    }

    fn fill(&self, name: &HeaderName, values: &Values<'_>) -> Result<HeaderValue, RenderError> {
        match self {
            Self::Fixed(value) => Ok(value.clone()),
            Self::Variable { template, sensitive } => {
                let place = || Place::Header(name.as_str().to_owned());
                let has_control = |value: &str| value.contains(char::is_control);
                if let Some(secret) = template.secret_that(values, has_control) {
                    return Err(RenderError::SecretUnusable {
                        name: secret.to_owned(),
                        why: "has a value with a control character, which no header can carry"
                            .to_owned(),
                    });
                }
                let mut value = header_value(name, &fill_bounded(template, values, place)?)?;
                value.set_sensitive(*sensitive);
                Ok(value)
            }
        }
    }
}

impl BasicAuth {
    fn parse(request: &RequestTemplate) -> Option<Self> {
        let username = request.username.as_deref().unwrap_or_default();
        let password = request.password.as_deref().unwrap_or_default();
        let is_given = !username.is_empty() || !password.is_empty();
        is_given.then(|| Self {
            username: Template::parse(username),
            password: Template::parse(password),
        })
    }

    /// `user:password`, unless both turn out empty.
    fn fill(&self, values: &Values<'_>) -> Result<Option<Vec<u8>>, RenderError> {
        let mut pair = fill_bounded(&self.username, values, || Place::BasicAuth)?;
        pair.push(':');
        pair.push_str(&fill_bounded(&self.password, values, || Place::BasicAuth)?);
        Ok((pair != ":").then(|| pair.into_bytes()))
    }
}

fn fill_bounded(
    template: &Template,
    values: &Values<'_>,
    place: impl FnOnce() -> Place,
) -> Result<String, RenderError> {
    match template.fill(values, Encoding::Raw, MAX_VALUE_BYTES)? {
        Filled::Text(text) => Ok(text),
        Filled::TooLong(bytes) => {
            Err(RenderError::TooLong { place: place(), bytes, limit: MAX_VALUE_BYTES })
        }
    }
}

/// Tabs and C1 controls are control characters too, though HTTP would carry them.
fn header_value(name: &HeaderName, text: &str) -> Result<HeaderValue, RenderError> {
    let refused = || RenderError::ControlCharacter { header: name.as_str().to_owned() };
    if text.chars().any(char::is_control) {
        return Err(refused());
    }
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| refused())
}

fn basic_value(user_and_password: &[u8]) -> Result<HeaderValue, RenderError> {
    let text = format!("Basic {}", STANDARD.encode(user_and_password));
    let mut value = header_value(&AUTHORIZATION, &text)?;
    value.set_sensitive(true);
    Ok(value)
}
