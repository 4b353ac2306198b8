//! The webhook API of Pact Broker 2.120 and PactFlow, so that their clients can't tell.
//!
//! Whatever is not our own API arrives here. A path is read into a resource ([`route`]), the
//! method is held against the resource's list, and the resource answers in the broker's order:
//! 404 or 422 for a path that is none, 405 with the list in `Allow`, 400 for what is wrong with
//! the body, 406, 404, 415. Credentials are judged before all of that. Pacticipants are not
//! stored here, so names are taken as given.

mod accept;
mod answer;
mod base;
mod docs;
mod document;
mod draft;
mod exchange;
mod execute;
mod index;
mod keep;
mod logs;
mod read;
pub(crate) mod route;
mod scope;
mod secrets;
mod status;
mod team;
mod time;
mod triggered;
mod url;
mod validate;
mod webhooks;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::Method;

pub(crate) use crate::hooks::answer::unauthorised;

use crate::hooks::answer::{Answer, Failure};
use crate::hooks::exchange::Exchange;
use crate::hooks::route::{Resource, Route};
use crate::server::App;

/// Answers for every path that is not our own API's.
pub(crate) async fn serve(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let read = route::route(parts.uri.path());
    let has_json_suffix = read.as_ref().is_ok_and(|route| route.has_json_suffix);
    let exchange = Exchange::of(app, parts, has_json_suffix);
    let answer = match read {
        Err(fault) => Err(Failure::Path(fault)),
        Ok(Route { resource: None, .. }) => Err(Failure::NotFound),
        Ok(Route { resource: Some(resource), .. }) => respond(&exchange, resource, body).await,
    };
    answer::finish(answer, exchange.style())
}

async fn respond(exchange: &Exchange, resource: Resource, body: Body) -> Answer {
    let (method, allowed) = (&exchange.parts.method, resource.allowed());
    if !allowed.holds(method) {
        return Ok(allowed.refuse(method));
    }
    if method == Method::OPTIONS {
        return Ok(allowed.options());
    }
    match resource {
        Resource::Index => index::show(exchange),
        Resource::Doc(rel) => docs::show(exchange, &rel),
        Resource::Webhooks(scope) => webhooks::collection(exchange, &scope, "Webhooks", body).await,
        Resource::PactWebhooks(scope) => {
            webhooks::collection(exchange, &scope, "Pact webhooks", body).await
        }
        Resource::Webhook(uuid) => webhooks::one(exchange, &uuid, body).await,
        Resource::Status { provider, consumer } => {
            status::show(exchange, &provider, &consumer).await
        }
        Resource::Logs(uuid) => triggered::logs(exchange, &uuid).await,
        Resource::Secrets => secrets::all(exchange, body).await,
        Resource::Secret(uuid) => secrets::one(exchange, &uuid, body).await,
        Resource::Execute(uuid) => execute::saved(exchange, &uuid).await,
        Resource::ExecuteUnsaved => execute::unsaved(exchange, body).await,
    }
}
