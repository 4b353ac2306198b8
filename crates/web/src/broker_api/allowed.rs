//! The methods that a resource allows, and the answers that list them.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Method, StatusCode, header};

/// The methods of a resource in the broker's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed(pub(crate) &'static str);

impl Allowed {
    /// Whether the method is one of them.
    pub(super) fn holds(self, method: &Method) -> bool {
        self.0.split(", ").any(|allowed| allowed == method.as_str())
    }

    /// 200 with the list.
    pub(super) fn options(self) -> Response {
        let list = HeaderValue::from_static(self.0);
        ([(header::ACCESS_CONTROL_ALLOW_METHODS, list)], ()).into_response()
    }

    /// 405 with the list, or 501 for a method that nobody knows.
    pub(super) fn refuse(self, method: &Method) -> Response {
        const KNOWN: [Method; 9] = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::TRACE,
            Method::CONNECT,
            Method::OPTIONS,
            Method::PATCH,
        ];
        if !KNOWN.contains(method) {
            return StatusCode::NOT_IMPLEMENTED.into_response();
        }
        let list = HeaderValue::from_static(self.0);
        (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, list)], ()).into_response()
    }
}
