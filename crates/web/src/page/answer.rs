//! What the page answers with: HTML under strict headers, and why something is not shown.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// Nothing but our own scripts and styles, no frames, no forms to elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// On every answer below `/ui`.
const STRICT: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// An answer with the headers that each has; it is kept nowhere unless it says otherwise.
pub(crate) fn strict(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.extend(STRICT);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A view.
pub(super) fn shown(view: &impl Template) -> Result<Response, Fault> {
    match view.render() {
        Ok(text) => Ok(Html(text).into_response()),
        Err(error) => {
            tracing::error!(%error, "page.not_rendered");
            Err(Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "an error inside; the log has it"))
        }
    }
}

/// On to another view, after something was done.
pub(crate) fn on_to(path: &str) -> Response {
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/ui"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// Why something is not shown, or was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// In a sentence.
    pub(crate) detail: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// What was asked for makes no sense.
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
}

#[derive(Template)]
#[template(path = "fault.html")]
struct FaultView {
    title: &'static str,
    detail: String,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        match (FaultView { title, detail: self.detail }).render() {
            Ok(text) => (self.status, Html(text)).into_response(),
            Err(_) => self.status.into_response(),
        }
    }
}
