//! The OpenAPI document of everything that answers HTTP in this program.

use postrider_http_server::openapi::Document;
use postrider_ingest::Ingest;
use postrider_web::Web;

use crate::admin::Admin;

/// OpenAPI 3.1, JSON.
pub(crate) fn document() -> String {
    let mut document = Document::default();
    Ingest::describe(&mut document);
    Web::describe(&mut document);
    Admin::describe(&mut document);
    document.text()
}
