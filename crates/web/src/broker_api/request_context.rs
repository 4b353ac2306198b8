//! One request with what every handler asks of it, in the broker's order: 400 before 406,
//! 406 before 404, 404 before 415.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::request::Parts;
use postrider_store::Store;
use serde_json::Value;

use crate::app::App;
use crate::broker_api::base::Bases;
use crate::broker_api::content_negotiation::{Accept, HAL};
use crate::broker_api::faults::Errors;
use crate::broker_api::read;
use crate::broker_api::response::{Failure, Style};
use crate::broker_api::rules::Rules;

/// A request whose body is still to be read.
#[derive(Debug)]
pub(super) struct RequestContext {
    pub(super) app: App,
    pub(super) parts: Parts,
    pub(super) bases: Bases,
    pub(super) accept: Accept,
}

impl RequestContext {
    pub(super) fn of(app: App, parts: Parts, has_json_suffix: bool) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let bases = Bases::of(&app.config, &parts, peer.map(|ConnectInfo(peer)| peer.ip()));
        let accept = Accept::of(&parts.headers, has_json_suffix);
        Self { app, parts, bases, accept }
    }

    /// The store, for changes on behalf of whoever makes the request.
    pub(super) fn changes(&self) -> Store {
        self.app.changes(&self.parts)
    }

    /// How to write errors.
    pub(super) fn style(&self) -> Style<'_> {
        Style { accept: &self.accept, base: &self.bases.base }
    }

    /// 400 for a document that does not hold.
    pub(super) fn checked<T>(
        &self,
        value: &Value,
        validate: impl FnOnce(&Rules<'_>) -> Result<T, Errors>,
    ) -> Result<T, Failure> {
        read::must_be_object(value)?;
        validate(&Rules::of(&self.app.config)).map_err(Failure::Invalid)
    }

    /// 406 unless the client takes HAL.
    pub(super) fn takes_hal(&self) -> Result<(), Failure> {
        self.choose(&[HAL]).map(drop)
    }

    /// The kind of answer that the client likes best; 406 when there is none.
    pub(super) fn choose(&self, provided: &[&'static str]) -> Result<&'static str, Failure> {
        self.accept.choose(provided).ok_or(Failure::NotAcceptable)
    }

    /// 415 unless the body is said to be JSON.
    pub(super) fn sent_json(&self) -> Result<(), Failure> {
        if read::is_json(&self.parts) { Ok(()) } else { Err(Failure::UnsupportedType) }
    }
}
