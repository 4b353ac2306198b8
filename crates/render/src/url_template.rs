//! The request's URL: parsed with stand-ins once, so that no value can choose the target.

use percent_encoding::percent_decode_str;
use url::{Position, Url};

use crate::encode::Encoding;
use crate::template::{Filled, Template, Values};
use crate::{Place, RenderError};

/// Longest URL sent, in bytes; servers refuse them at 8 to 64 KiB.
const MAX_URL_BYTES: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) struct UrlTemplate {
    template: Template,
    /// The URL with a stand-in for every placeholder; the URL itself when it has none.
    stand_in: Url,
}

/// A URL without user info and fragment, and what the user info asks for.
pub(crate) struct Target {
    pub(crate) url: Url,
    /// `user:password`, when the URL had any.
    pub(crate) user_info: Option<Vec<u8>>,
}

impl UrlTemplate {
    pub(crate) fn parse(text: &str) -> Result<Self, RenderError> {
        let template = Template::parse(text);
        let stand_in = parse_url(&template.with_stand_in("a"))?;
        let other = parse_url(&template.with_stand_in("b"))?;
        if !same_origin(&stand_in, &other) {
            return Err(RenderError::VariableInHost);
        }
        if !matches!(stand_in.scheme(), "http" | "https") {
            return Err(RenderError::NotHttp);
        }
        Ok(Self { template, stand_in })
    }

    /// The URL with a stand-in for every placeholder.
    pub(crate) fn stand_in(&self) -> &Url {
        &self.stand_in
    }

    pub(crate) fn fill(&self, values: &Values<'_>) -> Result<Target, RenderError> {
        if self.template.is_fixed() {
            return Ok(Target::new(self.stand_in.clone()));
        }
        let text = match self.template.fill(values, Encoding::Form, MAX_URL_BYTES)? {
            Filled::Text(text) => text,
            Filled::TooLong(bytes) => {
                let place = Place::Url;
                return Err(RenderError::TooLong { place, bytes, limit: MAX_URL_BYTES });
            }
        };
        let url = parse_url(&text)?;
        if !same_origin(&url, &self.stand_in) {
            return Err(RenderError::VariableInHost);
        }
        // Encoded values hold no slash, so only a dot segment can change their number.
        if slashes(&url) != slashes(&self.stand_in) {
            let is_dots = |value: &str| matches!(value, "." | "..");
            if let Some(secret) = self.template.secret_that(values, is_dots) {
                let why = "has a value of dots alone, which leads to another path".to_owned();
                return Err(RenderError::SecretUnusable { name: secret.to_owned(), why });
            }
            return Err(RenderError::DotSegment);
        }
        Ok(Target::new(url))
    }
}

impl Target {
    fn new(mut url: Url) -> Self {
        url.set_fragment(None);
        let user_info = user_info(&url);
        if user_info.is_some() && (url.set_username("").is_err() || url.set_password(None).is_err())
        {
            // Only URLs without a host refuse this, and those were refused before.
            url.set_query(None);
        }
        Self { url, user_info }
    }
}

fn user_info(url: &Url) -> Option<Vec<u8>> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut text: Vec<u8> = percent_decode_str(url.username()).collect();
    text.push(b':');
    text.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(text)
}

fn parse_url(text: &str) -> Result<Url, RenderError> {
    Url::parse(text).map_err(|reason| RenderError::InvalidUrl { reason })
}

fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port() == b.port()
}

fn slashes(url: &Url) -> usize {
    url[Position::BeforePath..Position::AfterPath].bytes().filter(|b| *b == b'/').count()
}
