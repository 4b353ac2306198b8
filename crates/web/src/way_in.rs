//! Who is let in before any token is looked at.
//!
//! A process without tokens lets everybody in who can reach it, and a browser on the same machine
//! can: a page of a stranger may give its own name this machine's address (DNS rebinding), or
//! send forms to it. The first is told by the name in `Host`, the second by what browsers say
//! of where a request comes from.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::uri::Authority;
use http::{StatusCode, header};
use postrider_http_server::Problem;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use url::Url;

use crate::WebConfig;
use crate::app::App;

/// Longest part of a host that a message repeats, in characters.
const SHOWN_HOST: usize = 100;

/// 421 for a host that is not this process's, where there are no tokens.
pub(crate) async fn guard_host(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.config.tokens.is_empty() {
        return next.run(request).await;
    }
    match host(&request) {
        Some(host) if is_own(&app.config, &host) => next.run(request).await,
        host => misdirected(&host.unwrap_or_default()).into_response(),
    }
}

/// The host that a request names, in lower case and without port.
fn host(request: &Request) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.host().to_ascii_lowercase());
    }
    let mut values = request.headers().get_all(header::HOST).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let authority = Authority::try_from(only.as_bytes()).ok()?;
    Some(authority.host().to_ascii_lowercase())
}

fn is_own(config: &WebConfig, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let base = config.base_url.as_ref().and_then(Url::host_str);
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
        || base == Some(host)
        || config.allowed_hosts.iter().any(|allowed| allowed == host)
}

fn misdirected(host: &str) -> Problem {
    let shown: String = host.chars().take(SHOWN_HOST).collect();
    let detail = format!(
        "this process has no tokens and does not answer for the host {shown:?}: name it in \
         POSTRIDER_ALLOWED_HOSTS or POSTRIDER_BASE_URL, or set POSTRIDER_API_TOKENS"
    );
    Problem::new(StatusCode::MISDIRECTED_REQUEST, detail)
}

/// Refuses what another site's page makes a browser send; reads and other clients pass. A base URL
/// that no browser could be at is trusted by none.
pub(crate) fn same_site(base_url: Option<&Url>) -> CsrfLayer<fn(ProtectionError) -> Response> {
    let origin = base_url.map(|base| base.origin().ascii_serialization());
    let trusting = origin.and_then(|origin| CsrfLayer::new().add_trusted_origin(origin).ok());
    trusting.unwrap_or_default().with_rejection_response(from_elsewhere)
}

/// 403 for it.
fn from_elsewhere(_: ProtectionError) -> Response {
    let detail = "a page of another site made this request: call from a page of this one, or \
                  without a browser's headers Origin and Sec-Fetch-Site; behind a proxy set \
                  POSTRIDER_BASE_URL";
    Problem::new(StatusCode::FORBIDDEN, detail).into_response()
}
