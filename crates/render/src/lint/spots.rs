//! The texts of a request, each with its place in the document.

use std::borrow::Cow;

use postrider_domain::{Body, RequestTemplate};
use serde_json::Value;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Url,
    Header(&'a str),
    Username,
    Password,
    /// A string of the body, with the key it stands under.
    Body(Option<&'a str>),
    /// A key of an object of the body.
    BodyKey,
}

/// A text and where it stands.
#[derive(Clone)]
pub(super) struct Spot<'a> {
    pub(super) pointer: String,
    pub(super) kind: Kind<'a>,
    pub(super) text: Cow<'a, str>,
}

/// All texts that may hold placeholders or secrets.
pub(super) fn spots(request: &RequestTemplate) -> Vec<Spot<'_>> {
    let mut spots = vec![spot("/request/url", Kind::Url, &request.url)];
    for (name, value) in &request.headers {
        let pointer = below("/request/headers", name);
        spots.push(spot(pointer, Kind::Header(name), value));
    }
    match &request.body {
        None => {}
        Some(Body::Text(text)) => spots.push(spot("/request/body", Kind::Body(None), text)),
        Some(Body::Json(value)) => walk("/request/body", None, value, &mut spots),
    }
    let username = request.username.as_deref();
    spots.extend(username.map(|text| spot("/request/username", Kind::Username, text)));
    let password = request.password.as_deref();
    spots.extend(password.map(|text| spot("/request/password", Kind::Password, text)));
    spots
}

fn spot<'a>(pointer: impl Into<String>, kind: Kind<'a>, text: &'a str) -> Spot<'a> {
    Spot { pointer: pointer.into(), kind, text: Cow::Borrowed(text) }
}

/// Recursion is as deep as the JSON parser let the document be.
pub(super) fn walk<'a>(
    pointer: &str,
    key: Option<&'a str>,
    value: &'a Value,
    spots: &mut Vec<Spot<'a>>,
) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => spots.push(spot(pointer, Kind::Body(key), text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{pointer}/{index}"), key, item, spots);
            }
        }
        Value::Object(members) => {
            for (name, inner) in members {
                let pointer = below(pointer, name);
                spots.push(spot(&pointer, Kind::BodyKey, name));
                walk(&pointer, Some(name), inner, spots);
            }
        }
    }
}

/// The pointer of a member (RFC 6901).
fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
