//! Signing in and out.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri, header};
use jiff::Timestamp;

use crate::page::answer::{Fault, on_to, shown};
use crate::page::gate::{HOME, SIGN_IN, next_view};
use crate::page::visit::Desk;
use crate::page::words::Words;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInView {
    next: String,
    trouble: Option<&'static str>,
}

/// `GET /ui/sign-in`.
pub(super) async fn ask(State(desk): State<Desk>, uri: Uri) -> Result<Response, Fault> {
    let words = Words::of(&uri)?;
    let next = next_view(words.get("next"));
    if !desk.gate.has_tokens() {
        return Ok(on_to(next));
    }
    shown(&SignInView { next: next.to_owned(), trouble: None })
}

/// `POST /ui/sign-in`.
pub(super) async fn take(State(desk): State<Desk>, body: Body) -> Result<Response, Fault> {
    let words = Words::sent(body).await?;
    let next = next_view(words.get("next"));
    if !desk.gate.has_tokens() {
        return Ok(on_to(next));
    }
    let token = words.get("token").unwrap_or_default().trim();
    match desk.gate.sign_in(token, Timestamp::now()) {
        Ok(cookie) => Ok(([(header::SET_COOKIE, cookie)], on_to(next)).into_response()),
        Err(trouble) => {
            let view = SignInView { next: next.to_owned(), trouble: Some(trouble) };
            // No challenge: browsers would ask for a name and a password by themselves.
            Ok((StatusCode::FORBIDDEN, shown(&view)?).into_response())
        }
    }
}

/// `POST /ui/sign-out`.
pub(super) async fn leave(State(desk): State<Desk>) -> Response {
    let next = if desk.gate.has_tokens() { SIGN_IN } else { HOME };
    let mut response = on_to(next);
    if let Some(cookie) = desk.gate.farewell() {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
