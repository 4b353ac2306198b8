//! Showing a request that was accepted and of which no text was kept.
//!
//! It is rendered again from its event and from the webhook's request as it was. Secrets are not
//! needed for that: each has a stand-in, which is starred like the secret was.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use postrider_domain::{RequestTemplate, SECRET_STARS};
use secrecy::SecretString;

use crate::body::body_text;
use crate::template::Template;
use crate::{CompiledRequest, Redactor, RenderError, Variables, describe_request, secret_names};

/// The renderer's version, kept with each request that may be rendered again. Raised with every
/// change of what a template becomes or how it is shown: a request of another version may have
/// looked different.
pub const RENDERER: u32 = 2;

/// A request as rendered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedAgain {
    /// As [`describe_request`] shows it.
    pub text: String,
    /// How long the body is; `None` when secrets are starred in it, whose lengths are not known.
    pub body_bytes: Option<usize>,
}

/// Renders a request again. `request` is the template as it was, credentials in it starred;
/// `traceparent` is the header that was added to it; `more` are names, in lower case, of headers
/// and query parameters to star beside the usual ones.
///
/// # Errors
/// Those of [`CompiledRequest::render`], except for missing secrets.
pub fn render_again(
    request: &RequestTemplate,
    vars: &Variables<'_>,
    user_agent: &str,
    traceparent: Option<&str>,
    more: &[String],
) -> Result<RenderedAgain, RenderError> {
    let stand_ins: BTreeMap<String, SecretString> = secret_names(request)
        .into_iter()
        .map(|name| (name.clone(), SecretString::from(format!("stand-in-for-{name}"))))
        .collect();
    let mut rendered = CompiledRequest::compile(request).render(vars, &stand_ins, user_agent)?;
    if let Some(value) = traceparent.and_then(|text| HeaderValue::from_str(text).ok()) {
        rendered.headers.insert(HeaderName::from_static("traceparent"), value);
    }
    let text = describe_request(&rendered, &Redactor::new(stand_ins.values()).hiding(more));
    let body_bytes = rendered.body.as_ref().map_or(0, Vec::len);
    Ok(RenderedAgain { text, body_bytes: (!has_secret_body(request)).then_some(body_bytes) })
}

/// Whether a secret, or a credential that was starred, stands in the body.
fn has_secret_body(request: &RequestTemplate) -> bool {
    request
        .body
        .as_ref()
        .and_then(body_text)
        .is_some_and(|text| text.contains(SECRET_STARS) || Template::parse(&text).has_secret())
}
