//! The calls of our own API in tables: the router is made from them, and the OpenAPI document is
//! held against them.

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter};

use crate::server::App;
use crate::{api, events, openapi, relay};

/// One call: a method at a path.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: MethodFilter,
    pub(crate) path: &'static str,
    pub(crate) serve: fn(MethodFilter) -> MethodRouter<App>,
}

/// A row: `route!(GET "/path" => handler)`.
macro_rules! route {
    ($method:ident $path:literal => $handler:path) => {
        $crate::routes::Route {
            method: axum::routing::MethodFilter::$method,
            path: $path,
            serve: |method| axum::routing::on(method, $handler),
        }
    };
}
pub(crate) use route;

/// The calls outside of the operations API.
const ROUTES: &[Route] = &[
    route!(POST "/events" => events::post),
    route!(POST "/hooks/broker" => relay::unnamed),
    route!(POST "/hooks/broker/{name}" => relay::named),
    route!(GET "/openapi.json" => openapi::show),
];

/// All calls of our own API.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(api::ROUTES)
}

/// The router of all of them.
pub(crate) fn router() -> Router<App> {
    all().fold(Router::new(), |router, route| router.route(route.path, (route.serve)(route.method)))
}
