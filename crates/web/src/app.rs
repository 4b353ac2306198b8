//! What the handlers of both APIs share.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use axum::extract::FromRequestParts;
use http::request::Parts;
use postrider_domain::LaneId;
use postrider_http_server::{Limit, MemoryBudget, Shared, SignedIn};
use postrider_store::{Author, Store};

use crate::WebConfig;
use crate::announce::{Announce, Announcement};
use crate::page::Gate;
use crate::relay_calls::RelayCalls;
use crate::stream::Streams;
use crate::test_delivery::TestDeliveries;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: WebConfig,
    pub(crate) shared: Shared,
    pub(crate) test_deliveries: TestDeliveries,
    pub(crate) streams: Streams,
    /// The OpenAPI document: made when somebody asks for it, for it takes longer than all else
    /// that has to be done before the first event is taken.
    pub(crate) document: LazyLock<String>,
    pub(crate) announce: Announce,
    pub(crate) limit: Limit,
    /// What the intake refused, and took of brokers.
    pub(crate) relay_calls: RelayCalls,
    /// Who may see the page.
    pub(crate) gate: Arc<Gate>,
}

impl App {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Workers of these lanes should look for what they can do.
    pub(crate) fn wake(&self, lanes: Vec<LaneId>) {
        if !lanes.is_empty() {
            (self.announce)(Announcement::Lanes(lanes));
        }
    }

    pub(crate) fn memory(&self) -> &MemoryBudget {
        &self.shared.memory
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The store, for changes on behalf of whoever makes this request.
    pub(crate) fn changes(&self, request: &Parts) -> Store {
        let (tokens, key) = (&self.config.tokens, &self.config.master_key);
        let who = match request.extensions.get::<SignedIn>() {
            Some(signed_in) => signed_in.name().to_owned(),
            None => tokens.who(&request.headers, |token| key.short_hash(token)),
        };
        let route = format!("{} {}", request.method, request.uri.path());
        self.shared.store.by(Author { who, route })
    }
}

/// The store, for changes on behalf of whoever makes the request.
#[derive(Debug)]
pub(crate) struct Changes(pub(crate) Store);

impl FromRequestParts<App> for Changes {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(app.changes(parts)))
    }
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}
