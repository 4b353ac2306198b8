//! The page for people, under `/ui`: HTML made here, which works without scripts.
//!
//! It reads and does everything by the calls of the two APIs, within the process and for whoever
//! signed in ([`visit`]): it can do what a client with the same token can. A cookie stands for the
//! token, below `/ui` alone ([`gate`]). Scripts, where they run, keep a view up to date and copy
//! commands; they come from here, and nothing else may run ([`answer`]).

mod answer;
mod assets;
mod brokers;
mod budget;
mod credentials;
mod deliveries;
mod delivery;
mod dispatch;
mod escape;
mod find;
mod gate;
mod lanes;
mod now;
mod pairs;
mod plan;
mod rotation;
mod show;
mod sign_in;
mod stream;
mod system;
mod visit;
mod webhook_edit;
mod webhooks;
mod words;

use axum::Router;
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use http::StatusCode;

pub(crate) use crate::page::answer::{on_to, strict};
pub(crate) use crate::page::gate::{Admission, Gate, is_page};
pub(crate) use crate::page::visit::Desk;

use crate::page::answer::Fault;

/// The program's.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All views. Requests have been judged by the [`Gate`], and hold who signed in.
pub(crate) fn router(desk: Desk) -> Router {
    Router::new()
        .route(gate::HOME, get(now::show))
        .route(gate::SIGN_IN, get(sign_in::ask).post(sign_in::take))
        .route(gate::SIGN_OUT, post(sign_in::leave))
        .route("/ui/assets/{hash}/{name}", get(assets::serve))
        .route("/ui/stream", get(stream::listen))
        .route("/ui/find", get(find::show))
        .route("/ui/incidents/{id}/ack", post(now::acknowledge))
        .route(deliveries::DELIVERIES, get(deliveries::list))
        .route("/ui/deliveries/plan", get(plan::show))
        .route("/ui/deliveries/act", post(plan::act))
        .route("/ui/deliveries/{id}", get(delivery::show))
        .route("/ui/lanes", get(lanes::list))
        .route("/ui/lanes/hold", post(lanes::hold))
        .route("/ui/lanes/release", post(lanes::release))
        .route("/ui/pairs", get(pairs::list))
        .route(dispatch::DISPATCH, get(dispatch::plan).post(dispatch::act))
        .route("/ui/webhooks", get(webhooks::list))
        .route(webhook_edit::NEW, get(webhook_edit::begin))
        .route(webhook_edit::PLAN, post(webhook_edit::plan))
        .route(webhook_edit::APPLY, post(webhook_edit::apply))
        .route("/ui/webhooks/{uuid}", get(webhooks::show))
        .route("/ui/webhooks/{uuid}/edit", get(webhook_edit::edit))
        .route("/ui/webhooks/{uuid}/execute", post(webhooks::execute))
        .route("/ui/webhooks/{uuid}/release", post(webhooks::release))
        .route("/ui/brokers", get(brokers::list))
        .route("/ui/credentials", get(credentials::list))
        .route("/ui/credentials/{name}", get(rotation::show))
        .route("/ui/credentials/{name}/pending", post(rotation::set))
        .route("/ui/credentials/{name}/forget", post(rotation::forget))
        .route("/ui/credentials/{name}/probe", post(rotation::probe))
        .route("/ui/credentials/{name}/switch", post(rotation::switch))
        .route("/ui/system", get(system::show))
        .route("/ui/{*rest}", any(nothing))
        .layer(map_response(async |response: Response| strict(response)))
        .with_state(desk)
}

async fn nothing() -> Response {
    Fault::new(StatusCode::NOT_FOUND, "there is no such view").into_response()
}

#[cfg(test)]
mod tests;
