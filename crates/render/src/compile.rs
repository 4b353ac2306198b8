//! A webhook's request, parsed once per revision and filled in for each attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use http::{HeaderMap, Method};
use postrider_domain::RequestTemplate;
use secrecy::SecretString;
use url::Url;

use crate::body::BodyTemplate;
use crate::headers::{Defaults, HeaderTemplates};
use crate::template::Values;
use crate::url_template::UrlTemplate;
use crate::{RenderError, Variables, dispatch, secret_names};

/// A parsed [`RequestTemplate`], worth keeping per webhook revision.
#[derive(Clone)]
pub struct CompiledRequest {
    secret_names: BTreeSet<String>,
    /// What is wrong whatever the values is reported by each rendering, after missing secrets.
    parts: Result<Parts, RenderError>,
}

#[derive(Clone)]
struct Parts {
    method: Method,
    url: UrlTemplate,
    headers: HeaderTemplates,
    body: Option<BodyTemplate>,
}

/// Names of the secrets only: the template may hold credentials in clear.
impl fmt::Debug for CompiledRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledRequest")
            .field("secret_names", &self.secret_names)
            .finish_non_exhaustive()
    }
}

impl CompiledRequest {
    /// Parses a template. A template that can never be sent is one whose [`render`](Self::render)
    /// always fails.
    pub fn compile(request: &RequestTemplate) -> Self {
        Self { secret_names: secret_names(request), parts: Parts::compile(request) }
    }

    /// The secrets whose values a rendering needs.
    pub fn secret_names(&self) -> &BTreeSet<String> {
        &self.secret_names
    }

    /// The request of one attempt. `user_agent` is sent when the webhook has none of its own.
    ///
    /// # Errors
    /// [`RenderError::SecretMissing`] before anything else; then what is wrong with the
    /// template; then what the values made of it.
    pub fn render(
        &self,
        vars: &Variables<'_>,
        secrets: &BTreeMap<String, SecretString>,
        user_agent: &str,
    ) -> Result<RenderedRequest, RenderError> {
        let values = Values { vars, secrets };
        for name in &self.secret_names {
            values.secret(name)?;
        }
        self.parts.as_ref().map_err(Clone::clone)?.render(&values, user_agent)
    }
}

impl Parts {
    fn compile(request: &RequestTemplate) -> Result<Self, RenderError> {
        Ok(Self {
            method: Method::from_bytes(request.method.to_ascii_uppercase().as_bytes())
                .map_err(|_| RenderError::InvalidMethod)?,
            url: UrlTemplate::parse(&request.url)?,
            headers: HeaderTemplates::parse(request)?,
            body: BodyTemplate::parse(request),
        })
    }

    fn render(
        &self,
        values: &Values<'_>,
        user_agent: &str,
    ) -> Result<RenderedRequest, RenderError> {
        let target = self.url.fill(values)?;
        let content_type = self.body.as_ref().map(BodyTemplate::content_type);
        let defaults = Defaults { user_agent, content_type, user_info: target.user_info };
        let headers = self.headers.fill(values, defaults)?;
        let body = self.body.as_ref().map(|body| body.fill(values)).transpose()?;
        dispatch::check(&target.url, body.as_deref())?;
        let body_is_json = self.body.as_ref().is_some_and(BodyTemplate::is_json);
        let method = self.method.clone();
        Ok(RenderedRequest { method, url: target.url, headers, body, body_is_json })
    }
}

/// A request with all values filled in, secrets included: for sending, and for showing by
/// [`describe_request`](crate::describe_request) only.
#[derive(Clone, PartialEq, Eq)]
pub struct RenderedRequest {
    /// Upper case.
    pub method: Method,
    /// http or https, without user info and fragment.
    pub url: Url,
    /// Complete but for what the HTTP client adds (`host`, `content-length`). Values that hold
    /// a secret are marked sensitive.
    pub headers: HeaderMap,
    /// `None` sends none.
    pub body: Option<Vec<u8>>,
    /// The body was made as JSON; `false` says nothing.
    pub body_is_json: bool,
}

/// Shows the origin, the headers' names and the body's size: path, query, header values and
/// body may hold secrets.
impl fmt::Debug for RenderedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header_names: Vec<&str> = self.headers.keys().map(http::HeaderName::as_str).collect();
        f.debug_struct("RenderedRequest")
            .field("method", &self.method)
            .field("origin", &self.url.origin().ascii_serialization())
            .field("header_names", &header_names)
            .field("body_bytes", &self.body.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// [`CompiledRequest::compile`] and [`CompiledRequest::render`] in one.
///
/// # Errors
/// Those of [`CompiledRequest::render`].
pub fn render(
    request: &RequestTemplate,
    vars: &Variables<'_>,
    secrets: &BTreeMap<String, SecretString>,
    user_agent: &str,
) -> Result<RenderedRequest, RenderError> {
    CompiledRequest::compile(request).render(vars, secrets, user_agent)
}
