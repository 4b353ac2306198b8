//! Who changed what.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use jiff::Timestamp;
use postrider_api::{AuditEntry, AuditList, AuditQuery, NextPage, PageQuery};
use postrider_domain::AuditKind;
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{AuditCursor, AuditFilter};
use serde_json::json;

use crate::api::example::{TIME, UUID};
use crate::api::params::{Params, cursor_of, cursor_text, instant, wrong};
use crate::app::App;

/// `GET /api/v1/audit`, newest first.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[AuditQuery::NAMES, PageQuery::NAMES])?;
    let filter = filter(&params, Timestamp::now())?;
    let cursor = params.get("cursor").map(read_cursor).transpose()?;
    let page = app.store().audit(&filter, cursor, params.limit()?).await?;
    let total = app.store().count_audit(&filter).await?;
    let next = page
        .next
        .map(|AuditCursor { at, id }| cursor_text(&format!("{} {id}", at.as_microsecond())));
    let list = AuditList {
        entries: page.entries.into_iter().map(document).collect(),
        next: NextPage(next),
        total: total.count,
        total_is_exact: total.is_exact,
    };
    Ok(Json(list).into_response())
}

pub(super) fn list_described() -> Operation {
    let example = json!({
        "id": UUID,
        "at": TIME,
        "who": "ci",
        "route": "PUT /api/v1/secrets/githubToken",
        "kind": "secret",
        "object": "githubToken",
        "action": "changed",
        "detail": "a new value, revision 2, lanes opened: 1",
    });
    let example = json!({"entries": [example], "next": null, "total": 1, "total_is_exact": true});
    Operation::new(Tag::Operations, "listAudit", "List who changed what")
        .description("Newest first. It is kept as long as the history of deliveries.")
        .query::<AuditQuery>()
        .query::<PageQuery>()
        .answers::<AuditList>(200, "Fine.")
        .example(200, example)
}

fn filter(params: &Params, now: Timestamp) -> Result<AuditFilter, Problem> {
    let kinds = AuditKind::ALL.map(AuditKind::as_str).join(", ");
    let at = |name: &str| {
        let read = params.get(name).map(|text| instant(text, now));
        read.transpose().map_err(|detail| wrong(name, detail))
    };
    Ok(AuditFilter {
        who: params.get("who").map(str::to_owned),
        kind: params.parsed("kind", &format!("one of {kinds}"))?,
        object: params.get("object").map(str::to_owned),
        since: at("since")?,
        until: at("until")?,
    })
}

fn read_cursor(text: &str) -> Result<AuditCursor, Problem> {
    let read = || {
        let text = cursor_of(text)?;
        let (micros, id) = text.split_once(' ')?;
        let at = Timestamp::from_microsecond(micros.parse().ok()?).ok()?;
        Some(AuditCursor { at, id: id.parse().ok()? })
    };
    read().ok_or_else(|| wrong("cursor", "must be the member next of an earlier page"))
}

fn document(entry: postrider_store::AuditEntry) -> AuditEntry {
    AuditEntry {
        id: entry.id,
        at: entry.at,
        who: entry.who,
        route: entry.route,
        kind: entry.kind,
        object: entry.object,
        action: entry.action,
        detail: entry.detail,
    }
}
