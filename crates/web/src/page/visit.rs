//! One look at the page: who looks, and the calls of the two APIs by which everything is read and
//! done. The page can do what a client with the same token can, and nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, header};
use jiff::Timestamp;
use postrider_api::Page;
use postrider_broker::BrokerConfig;
use postrider_http_server::SignedIn;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::page::answer::Fault;
use crate::page::gate::Gate;
use crate::page::words::Words;

/// Bytes of an answer of the APIs: a delivery with many attempts, each with all that is kept.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// What all views share.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(super) gate: Arc<Gate>,
    /// Both APIs and the intake as they are behind the checks of tokens.
    apis: Router,
    brokers: Arc<BTreeMap<String, BrokerConfig>>,
}

impl Desk {
    pub(crate) fn new(
        gate: Arc<Gate>,
        apis: Router,
        brokers: BTreeMap<String, BrokerConfig>,
    ) -> Self {
        Self { gate, apis, brokers: Arc::new(brokers) }
    }
}

/// What every view shows around itself.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Who looks.
    pub(super) who: String,
    /// Whether actions are offered.
    pub(super) may_change: bool,
    /// Whether somebody signed in, and can sign out.
    pub(super) has_tokens: bool,
    /// Path and query of the view.
    pub(super) here: String,
    /// A script asks for what has changed in the view, not for all that is around it.
    pub(super) is_fragment: bool,
    /// When it is shown.
    pub(super) now: Timestamp,
}

/// The views, as the menu has them.
pub(super) const MENU: [(&str, &str); 9] = [
    ("/ui", "Now"),
    ("/ui/find", "Where is it?"),
    ("/ui/deliveries", "Deliveries"),
    ("/ui/lanes", "Lanes"),
    ("/ui/pairs", "Pairs"),
    ("/ui/webhooks", "Webhooks"),
    ("/ui/credentials", "Credentials"),
    ("/ui/brokers", "Brokers"),
    ("/ui/system", "System"),
];

impl Frame {
    /// When the view was made.
    pub(super) fn stamp(&self) -> String {
        format!("{:.0}", self.now)
    }

    /// Whether a link of the menu is the view's, or leads to what it is a part of.
    pub(super) fn is_at(&self, link: &str) -> bool {
        let path = self.here.split('?').next().unwrap_or_default();
        let below = path.strip_prefix(link);
        below.is_some_and(|rest| rest.is_empty() || (link != "/ui" && rest.starts_with('/')))
    }
}

/// One look.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) frame: Frame,
    /// Those that this process is given, by their names.
    pub(super) brokers: Arc<BTreeMap<String, BrokerConfig>>,
    signed_in: SignedIn,
    apis: Router,
}

impl FromRequestParts<Desk> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Infallible> {
        let signed_in = parts.extensions.get::<SignedIn>().cloned();
        let signed_in = signed_in.unwrap_or_else(SignedIn::local);
        let frame = Frame {
            who: signed_in.name().to_owned(),
            may_change: signed_in.may_change(),
            has_tokens: desk.gate.has_tokens(),
            here: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            is_fragment: parts.headers.contains_key("hx-request"),
            now: Timestamp::now(),
        };
        let brokers = Arc::clone(&desk.brokers);
        Ok(Self { frame, brokers, signed_in, apis: desk.apis.clone() })
    }
}

impl Visit {
    /// What the API has at a path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        self.call(Method::GET, path, Body::empty()).await
    }

    /// All rows of a short list of the API.
    pub(super) async fn all<P: Page + DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Vec<P::Row>, Fault> {
        let (mut rows, mut next) = self.get::<P>(path).await?.into_parts();
        while let Some(cursor) = next.0 {
            let words = Words::from([("cursor", cursor.as_str())]);
            let (more, after) = self.get::<P>(&words.at(path)).await?.into_parts();
            rows.extend(more);
            next = after;
        }
        Ok(rows)
    }

    /// Does something by the API.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, Fault> {
        self.call(Method::POST, path, Body::from(body.to_string())).await
    }

    /// Puts something in another's place by the API.
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, Fault> {
        self.call(Method::PUT, path, Body::from(body.to_string())).await
    }

    /// Removes something by the API, which says nothing more of it.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Fault> {
        self.bytes(Method::DELETE, path, Body::empty()).await.map(drop)
    }

    /// The answer of the API to somebody who wants it as it is, from where they were.
    pub(super) async fn followed(
        &self,
        path: &str,
        last: Option<&HeaderValue>,
    ) -> Result<Response, Fault> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().map_err(|_| inside())?;
        if let Some(last) = last {
            request.headers_mut().insert("last-event-id", last.clone());
        }
        Ok(self.send(request).await)
    }

    async fn send(&self, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(self.signed_in.clone());
        match self.apis.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<T, Fault> {
        let bytes = self.bytes(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            tracing::error!(%error, path, "page.answer_unread");
            inside()
        })
    }

    /// The answer's body, if it is no refusal.
    async fn bytes(&self, method: Method, path: &str, body: Body) -> Result<Bytes, Fault> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| inside())?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, ANY_JSON);
        headers.insert(header::CONTENT_TYPE, JSON);
        let response = self.send(request).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), MAX_ANSWER).await.map_err(|_| inside())?;
        if !status.is_success() {
            return Err(fault(status, &bytes));
        }
        Ok(bytes)
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ANY_JSON: HeaderValue = HeaderValue::from_static("application/hal+json, application/json");

fn inside() -> Fault {
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "an error inside; the log has it")
}

/// What an API says of itself: a problem's detail, else its JSON as it is.
fn fault(status: StatusCode, bytes: &[u8]) -> Fault {
    let said: Option<Value> = serde_json::from_slice(bytes).ok();
    let detail = match said.as_ref().map(|said| &said["detail"]) {
        Some(Value::String(detail)) => detail.clone(),
        // The broker's words of that say nothing more.
        _ if status == StatusCode::NOT_FOUND => "there is no such thing here".to_owned(),
        Some(_) => said.unwrap_or_default().to_string(),
        None => "this can't be done".to_owned(),
    };
    Fault::new(status, detail)
}
