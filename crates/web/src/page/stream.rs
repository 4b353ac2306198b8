//! What happens, for scripts that keep a view up to date.

use axum::response::Response;
use http::{HeaderMap, Uri};

use crate::page::answer::Fault;
use crate::page::visit::Visit;
use crate::page::words::Words;

/// `GET /ui/stream`: the API's, for whoever signed in.
pub(super) async fn listen(visit: Visit, uri: Uri, headers: HeaderMap) -> Result<Response, Fault> {
    let path = Words::of(&uri)?.at("/api/v1/stream");
    visit.followed(&path, headers.get("last-event-id")).await
}
