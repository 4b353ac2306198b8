//! A request as the double sees it.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::checks::Content;
use crate::journal::TokenSeen;
use crate::reply::{Reply, Stamp};
use crate::route::Route;

/// A request's head.
pub(crate) struct Call {
    pub(crate) route: Route,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) arrived: Instant,
}

/// What became of a request's body.
#[derive(Debug)]
pub(crate) enum Body {
    Read(Bytes),
    /// Longer than the double reads.
    TooLong,
    /// The client went away in its middle.
    Broken,
    /// Left alone on purpose.
    Unread,
}

/// A request with what is known of it.
pub(crate) struct Request<'a> {
    pub(crate) call: &'a Call,
    pub(crate) body: &'a Body,
    pub(crate) json: Option<&'a Value>,
    pub(crate) seen: TokenSeen,
    pub(crate) stamp: Stamp,
}

impl Request<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.call.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn content(&self) -> Content<'_> {
        Content {
            media_type: self.header("content-type"),
            length: match self.body {
                Body::Read(bytes) => bytes.len(),
                Body::TooLong | Body::Broken | Body::Unread => 0,
            },
            json: self.json,
        }
    }

    pub(crate) fn case(&self, name: &str) -> Reply {
        Reply::case(name, self.stamp)
    }
}

pub(crate) fn parse(body: &Body) -> Option<Value> {
    match body {
        Body::Read(bytes) if !bytes.is_empty() => serde_json::from_slice(bytes).ok(),
        Body::Read(_) | Body::TooLong | Body::Broken | Body::Unread => None,
    }
}

pub(crate) fn delivery_id<'a>(request: &'a Request<'_>) -> Option<&'a str> {
    let in_body = request.json.and_then(|json| {
        ["/client_payload/delivery_id", "/inputs/delivery_id", "/delivery_id"]
            .iter()
            .find_map(|pointer| json.pointer(pointer)?.as_str())
    });
    in_body.or_else(|| request.header("x-postrider-delivery-id"))
}
