//! The calls of our own API in tables: the router is made from them, and the OpenAPI document.

use postrider_http_server::openapi::Document;
use postrider_http_server::{Route, route};

use crate::app::App;
use crate::{api, broker_api, openapi};

/// The call outside of the operations API.
const ROUTES: &[Route<App>] =
    &[route!(GET "/openapi.json" => openapi::show, openapi::show_described)];

/// All calls of our own API but those that bring events.
pub(crate) fn all() -> impl Iterator<Item = &'static Route<App>> {
    api::ROUTES.iter().chain(ROUTES)
}

/// Tells the OpenAPI document of both APIs.
pub(crate) fn describe(document: &mut Document) {
    for route in all() {
        document.add(route.method, route.path, (route.describe)());
    }
    broker_api::describe(document);
}
