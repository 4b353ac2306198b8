//! The span of a call that brings events.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, header};
use postrider_telemetry::spans::{self, Begun, Call, Fact};
use postrider_telemetry::{TRACEPARENT, TraceContext};

/// The trace that the caller sent, if it can be read.
pub(crate) fn given(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}

/// Makes the span. Handlers find it where the caller's own would be, in the header.
pub(crate) async fn call(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let Some(route) = route.filter(|route| brings_events(request.method(), route.as_str())) else {
        return next.run(request).await;
    };
    let parent = given(request.headers());
    let context = spans::of_call(parent);
    if let Ok(value) = context.to_traceparent().parse() {
        request.headers_mut().insert(TRACEPARENT, value);
    }
    if !context.sampled() {
        return next.run(request).await;
    }
    let begun = Begun::from_afar(parent, context);
    let path = request.uri().path().to_owned();
    let user_agent = request.headers().get(header::USER_AGENT).cloned();
    let response = next.run(request).await;
    let call = Call {
        method: "POST",
        route: route.as_str(),
        path: &path,
        status: response.status().as_u16(),
        user_agent: user_agent.as_ref().and_then(|agent| agent.to_str().ok()),
    };
    spans::record(&begun.end(), &Fact::Call(call));
    response
}

fn brings_events(method: &Method, route: &str) -> bool {
    method == Method::POST && (route == "/events" || route.starts_with("/hooks/"))
}
