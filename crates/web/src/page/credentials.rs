//! Credentials: who uses them, whose they are, when they end. Never their values.

use askama::Template;
use axum::response::Response;
use postrider_api::{Credential, CredentialList};

use crate::page::answer::{Fault, shown};
use crate::page::rotation;
use crate::page::show::Moment;
use crate::page::visit::{Frame, Visit};

/// Credentials in the view.
const SHOWN: usize = 500;

/// A credential as it is shown.
#[derive(Debug)]
struct Card {
    name: String,
    kind: &'static str,
    tone: &'static str,
    owner: Option<String>,
    scopes: Option<String>,
    ends: Option<Moment>,
    last_success: Option<Moment>,
    last_refusal: Option<Moment>,
    pending: Option<Moment>,
    webhooks: Vec<String>,
    lanes: Vec<String>,
    warnings: Vec<String>,
    /// Where it is given a new value, and the command for it, where it can be given one.
    rotate: Option<(String, String)>,
}

impl Card {
    fn of(credential: Credential, frame: &Frame) -> Self {
        let now = frame.now;
        let is_rotated = rotation::not_rotated(&credential).is_none();
        let name = &credential.name;
        Self {
            rotate: is_rotated.then(|| (rotation::place(name), rotation::command(name))),
            tone: if credential.warnings.is_empty() { "calm" } else { "warn" },
            name: credential.name,
            kind: credential.kind.as_str(),
            owner: credential.owner,
            scopes: credential.scopes.map(|scopes| scopes.join(", ")),
            ends: Moment::if_any(credential.expires_at, now),
            last_success: Moment::if_any(credential.last_success_at, now),
            last_refusal: Moment::if_any(credential.last_refusal_at, now),
            pending: credential.pending.map(|pending| Moment::of(pending.since, now)),
            webhooks: credential.used_by.webhooks.iter().map(ToString::to_string).collect(),
            lanes: credential.used_by.lanes,
            warnings: credential.warnings.into_iter().map(|warning| warning.detail).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "credentials.html")]
struct CredentialsView {
    frame: Frame,
    cards: Vec<Card>,
    more: usize,
}

/// `GET /ui/credentials`: those with warnings first.
pub(super) async fn list(visit: Visit) -> Result<Response, Fault> {
    let mut credentials = visit.all::<CredentialList>("/api/v1/credentials").await?;
    let frame = visit.frame;
    let more = credentials.len().saturating_sub(SHOWN);
    credentials.sort_by_key(|credential| credential.warnings.is_empty());
    let shown_ones = credentials.into_iter().take(SHOWN);
    let cards = shown_ones.map(|credential| Card::of(credential, &frame)).collect();
    shown(&CredentialsView { frame, cards, more })
}
