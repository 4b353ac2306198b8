//! Calls in tables: a router is made from them, and the OpenAPI document.

use axum::Router;
use axum::routing::MethodRouter;

use crate::openapi::Operation;

/// One call: a method at a path.
#[derive(Debug)]
pub struct Route<S> {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path, parameters in braces.
    pub path: &'static str,
    /// Makes what answers.
    pub serve: fn() -> MethodRouter<S>,
    /// What the OpenAPI document says of it.
    pub describe: fn() -> Operation,
}

/// A row: `route!(GET "/path" => handler, what describes it)`.
#[macro_export]
macro_rules! route {
    ($method:ident $path:literal => $handler:path, $describe:path) => {
        $crate::Route {
            method: stringify!($method),
            path: $path,
            serve: || axum::routing::on(axum::routing::MethodFilter::$method, $handler),
            describe: $describe,
        }
    };
}

/// The router of them.
pub fn router<'a, S: Clone + Send + Sync + 'static>(
    routes: impl IntoIterator<Item = &'a Route<S>>,
) -> Router<S> {
    let routes = routes.into_iter();
    routes.fold(Router::new(), |router, route| router.route(route.path, (route.serve)()))
}
