//! The program itself: its version, what is under way, and who changed what.

use askama::Template;
use axum::response::Response;
use http::Uri;
use postrider_api::{AuditList, LaneBacklog, Stats};
use postrider_domain::AuditKind;

use crate::page::answer::{Fault, shown};
use crate::page::show::{Moment, lasting};
use crate::page::visit::{Frame, Visit};
use crate::page::words::Words;

const SYSTEM: &str = "/ui/system";

/// What the audit log is narrowed by.
const FILTERS: [&str; 5] = ["who", "kind", "object", "since", "until"];

/// Changes of a page, and lanes with most waiting.
const PAGE: &str = "50";
const LANES: usize = 20;

/// A change as it is shown.
#[derive(Debug)]
struct Change {
    at: Moment,
    who: String,
    kind: &'static str,
    object: String,
    action: &'static str,
    detail: String,
}

#[derive(Template)]
#[template(path = "system.html")]
struct SystemView {
    frame: Frame,
    sending: u64,
    oldest: Option<String>,
    backlog: Vec<LaneBacklog>,
    words: Words,
    kinds: Vec<&'static str>,
    changes: Vec<Change>,
    next: Option<String>,
}

/// `GET /ui/system`.
pub(super) async fn show(visit: Visit, uri: Uri) -> Result<Response, Fault> {
    let asked = Words::of(&uri)?;
    let words = asked.only(&FILTERS);
    let call = asked.only(&[FILTERS.as_slice(), &["cursor"]].concat()).with("limit", PAGE);
    let audit: AuditList = visit.get(&call.at("/api/v1/audit")).await?;
    let stats: Stats = visit.get("/api/v1/stats").await?;
    let mut backlog = stats.backlog;
    backlog.retain(|lane| lane.waiting > 0);
    backlog.sort_by_key(|lane| std::cmp::Reverse(lane.waiting));
    backlog.truncate(LANES);
    let frame = visit.frame;
    let changes = audit.entries.into_iter().map(|entry| Change {
        at: Moment::of(entry.at, frame.now),
        who: entry.who,
        kind: entry.kind.as_str(),
        object: entry.object,
        action: entry.action.as_str(),
        detail: entry.detail,
    });
    shown(&SystemView {
        sending: stats.sending,
        oldest: stats.oldest_pending_seconds.map(lasting),
        backlog,
        kinds: AuditKind::ALL.map(AuditKind::as_str).into(),
        changes: changes.collect(),
        next: audit.next.0.map(|cursor| words.with("cursor", &cursor).at(SYSTEM)),
        words,
        frame,
    })
}
