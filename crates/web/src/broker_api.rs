//! The webhook API of Pact Broker 2.120 and PactFlow, so that their clients can't tell.
//!
//! Whatever is not our own API arrives here. A path is read into a resource ([`route`]), the
//! method is held against the resource's list, and the resource answers in the broker's order:
//! 404 or 422 for a path that is none, 405 with the list in `Allow`, 400 for what is wrong with
//! the body, 406, 404, 415. Credentials are judged before all of that. Pacticipants are not
//! stored here, so names are taken as given.

mod allowed;
mod base;
mod check;
mod content_negotiation;
mod described;
mod docs;
mod document;
mod draft;
mod faults;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod index;
mod logs;
mod merge;
mod read;
mod request_context;
mod response;
pub(crate) mod route;
mod rules;
mod scope;
mod secrets;
mod status;
mod team;
mod test_delivery;
mod time;
mod triggered;
mod url;
mod validate;
mod webhooks;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::Method;
use postrider_http_server::openapi::Document;

pub(crate) use crate::broker_api::check::check;
pub(crate) use crate::broker_api::content_negotiation::wants_page;
pub(crate) use crate::broker_api::document::display_description;
pub(crate) use crate::broker_api::response::unauthorised;

use crate::app::App;
use crate::broker_api::request_context::RequestContext;
use crate::broker_api::response::{Answer, Failure};
use crate::broker_api::route::{Resource, Route};

/// Answers for every path that is not our own API's.
pub(crate) async fn serve(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let read = route::route(parts.uri.path());
    let has_json_suffix = read.as_ref().is_ok_and(|route| route.has_json_suffix);
    let context = RequestContext::of(app, parts, has_json_suffix);
    let answer = match read {
        Err(fault) => Err(Failure::Path(fault)),
        Ok(Route { resource: None, .. }) => Err(Failure::NotFound),
        Ok(Route { resource: Some(resource), .. }) => respond(&context, resource, body).await,
    };
    response::finish(answer, context.style())
}

async fn respond(context: &RequestContext, resource: Resource, body: Body) -> Answer {
    let (method, allowed) = (&context.parts.method, resource.allowed());
    if !allowed.holds(method) {
        return Ok(allowed.refuse(method));
    }
    if method == Method::OPTIONS {
        return Ok(allowed.options());
    }
    match resource {
        Resource::Index => index::show(context),
        Resource::Doc(rel) => docs::show(context, &rel),
        Resource::Webhooks(scope) => webhooks::collection(context, &scope, "Webhooks", body).await,
        Resource::PactWebhooks(scope) => {
            webhooks::collection(context, &scope, "Pact webhooks", body).await
        }
        Resource::Webhook(uuid) => webhooks::one(context, &uuid, body).await,
        Resource::Status { provider, consumer } => {
            status::show(context, &provider, &consumer).await
        }
        Resource::Logs(uuid) => triggered::logs(context, &uuid).await,
        Resource::Secrets => secrets::all(context, body).await,
        Resource::Secret(uuid) => secrets::one(context, &uuid, body).await,
        Resource::Execute(uuid) => test_delivery::saved(context, &uuid).await,
        Resource::ExecuteUnsaved => test_delivery::unsaved(context, body).await,
    }
}

/// Tells the OpenAPI document of all calls: what is said of each stands beside what answers it.
pub(crate) fn describe(document: &mut Document) {
    let all = [index::operations(), docs::operations()].into_iter();
    let all = all.chain(webhooks::operations()).chain(test_delivery::operations());
    let all = all.chain([status::operations(), triggered::operations()]);
    for (method, path, operation) in all.chain(secrets::operations()) {
        document.add(method, path, operation);
    }
}
