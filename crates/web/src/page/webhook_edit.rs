//! A webhook written as YAML: first what would change and what the server says of it, then the act.

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use postrider_api::broker::{
    Comparison, Difference, InvalidDocuments, Webhook, brief, compare, documents, is_starred,
};
use postrider_api::{FieldError, WebhookCheck};
use serde_json::{Value, json};

use crate::page::answer::{Fault, on_to, shown};
use crate::page::visit::{Frame, Visit};
use crate::page::webhooks::WEBHOOKS;
use crate::page::words::{Words, segment};

/// Where one begins, is planned and is written. No uuid is as short as these.
pub(super) const NEW: &str = "/ui/webhooks/new";
pub(super) const PLAN: &str = "/ui/webhooks/plan";
pub(super) const APPLY: &str = "/ui/webhooks/apply";

/// Characters of a value in the plan.
const MAX_SHOWN: usize = 200;
/// What the server adds to a document, or knows beside it.
const ADDED: [&str; 5] = ["uuid", "createdAt", "updatedAt", "warnings", "_links"];

/// Bytes that a text may come to when each alias stands for as much as all of it.
const MOST_EXPANDED: usize = 16 * 1024 * 1024;

/// What a new one begins with: the first task of whoever comes here.
const EXAMPLE: &str = include_str!("templates/webhook_example.yaml");

/// A member that would change.
#[derive(Debug)]
struct Row {
    field: String,
    now: String,
    wanted: String,
}

impl From<Difference> for Row {
    fn from(Difference { field, now, wanted }: Difference) -> Self {
        let (now, wanted) = texts(&now, &wanted);
        Self { field, now, wanted }
    }
}

/// What writing the document would do.
#[derive(Debug, Default)]
struct Plan {
    /// Why it would be refused.
    faults: Vec<String>,
    warnings: Vec<String>,
    lane: Option<String>,
    rows: Vec<Row>,
    /// Whether there would be anything to do.
    is_change: bool,
}

#[derive(Template)]
#[template(path = "webhook_edit.html")]
struct EditView {
    frame: Frame,
    /// The webhook in whose place it would be written; `None` for a new one.
    uuid: Option<String>,
    text: String,
    /// Stands for the webhook that the plan is about.
    seen: String,
    plan: Option<Plan>,
    /// Why there is no plan, or nothing was written.
    trouble: Option<String>,
}

/// `GET /ui/webhooks/new`.
pub(super) async fn begin(visit: Visit) -> Result<Response, Fault> {
    let draft = Draft { uuid: None, text: EXAMPLE.to_owned(), seen: String::new() };
    shown(&draft.view(visit.frame, None, None))
}

/// `GET /ui/webhooks/{uuid}/edit`.
pub(super) async fn edit(visit: Visit, Path(uuid): Path<String>) -> Result<Response, Fault> {
    let stored = stored(&visit, Some(&uuid)).await?;
    let mut document = stored.clone();
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| !ADDED.contains(&name.as_str()));
    }
    let text = serde_norway::to_string(&document);
    let text = text.map_err(|error| Fault::bad(error.to_string()))?;
    let draft = Draft { uuid: Some(uuid), text, seen: stamp(&stored) };
    shown(&draft.view(visit.frame, None, None))
}

/// What stands in the form.
struct Draft {
    uuid: Option<String>,
    text: String,
    seen: String,
}

impl Draft {
    async fn sent(body: Body) -> Result<Self, Fault> {
        let words = Words::sent(body).await.map_err(|fault| match fault.status {
            StatusCode::PAYLOAD_TOO_LARGE => Fault::new(
                fault.status,
                "the form is too large: `postrider webhooks apply -f FILE` takes larger webhooks",
            ),
            _ => fault,
        })?;
        Ok(Self {
            uuid: words.get("uuid").map(str::to_owned),
            text: words.or_empty("document").replace("\r\n", "\n"),
            seen: words.or_empty("seen"),
        })
    }

    /// The document, as the API takes it.
    fn document(&self) -> Result<Value, String> {
        if aliases(&self.text).saturating_mul(self.text.len()) > MOST_EXPANDED {
            return Err("this repeats too much by aliases (*name): write it out".to_owned());
        }
        let mut read = documents(&self.text).map_err(|error| match error {
            InvalidDocuments::Unreadable(_) => format!("this is {error}"),
            InvalidDocuments::Empty => "there is no webhook in this".to_owned(),
        })?;
        let (Some(mut document), true) = (read.pop(), read.is_empty()) else {
            let more = "this holds several webhooks, and one is written at a time here: \
                        `postrider webhooks apply -f FILE` takes them all";
            return Err(more.to_owned());
        };
        let Some(members) = document.as_object_mut() else {
            return Err("this is no webhook: write its members, such as description, events and \
                        request"
                .to_owned());
        };
        let given = members.shift_remove("uuid").filter(|given| !given.is_null());
        match (&self.uuid, given) {
            (Some(uuid), Some(given)) if given != json!(uuid) => {
                return Err(format!(
                    "this has the uuid of another webhook: remove it, or write {uuid}"
                ));
            }
            (None, Some(_)) => {
                let remove = "a new webhook gets a uuid of its own: remove it from this, or edit \
                              the webhook that has it";
                return Err(remove.to_owned());
            }
            (Some(uuid), _) => drop(members.insert("uuid".to_owned(), json!(uuid))),
            (None, None) => {}
        }
        // What the text does not hold is removed: only a null says so.
        members.entry("postrider").or_insert(Value::Null);
        Ok(document)
    }

    fn view(self, frame: Frame, plan: Option<Plan>, trouble: Option<String>) -> EditView {
        EditView { frame, uuid: self.uuid, text: self.text, seen: self.seen, plan, trouble }
    }
}

/// What may be an alias in a YAML text: at least as many as there are.
fn aliases(text: &str) -> usize {
    let begins = text
        .split('*')
        .skip(1)
        .filter(|rest| rest.starts_with(|first: char| !first.is_whitespace() && first != '*'));
    begins.count()
}

/// `POST /ui/webhooks/plan`: changes nothing.
pub(super) async fn plan(visit: Visit, body: Body) -> Result<Response, Fault> {
    let mut draft = Draft::sent(body).await?;
    let stored = stored(&visit, draft.uuid.as_deref()).await?;
    let before = std::mem::replace(&mut draft.seen, stamp(&stored));
    let is_other = !before.is_empty() && before != draft.seen;
    let trouble = is_other.then(|| {
        "Somebody has changed this webhook since you began: this would undo what is not in the text \
         below."
            .to_owned()
    });
    match draft.document() {
        Ok(document) => {
            let plan = planned(&visit, &document, &stored).await?;
            shown(&draft.view(visit.frame, Some(plan), trouble))
        }
        Err(trouble) => refused(&draft.view(visit.frame, None, Some(trouble))),
    }
}

/// `POST /ui/webhooks/apply`: writes what was planned, if it is still the same webhook that the plan
/// was about.
pub(super) async fn apply(visit: Visit, body: Body) -> Result<Response, Fault> {
    let mut draft = Draft::sent(body).await?;
    let stored = stored(&visit, draft.uuid.as_deref()).await?;
    let document = match draft.document() {
        Ok(document) => document,
        Err(trouble) => return refused(&draft.view(visit.frame, None, Some(trouble))),
    };
    let now = stamp(&stored);
    if draft.seen != now {
        draft.seen = now;
        let plan = planned(&visit, &document, &stored).await?;
        let trouble = "Somebody has changed this webhook since the plan was made, and nothing was \
                       written. This is what would change now.";
        let view = draft.view(visit.frame, Some(plan), Some(trouble.to_owned()));
        return Ok((StatusCode::CONFLICT, shown(&view)?).into_response());
    }
    let written: Result<Webhook, Fault> = match &draft.uuid {
        Some(uuid) => visit.put(&format!("/webhooks/{}", segment(uuid)), &document).await,
        None => visit.post("/webhooks", &document).await,
    };
    match written {
        Ok(webhook) => Ok(on_to(&format!("{WEBHOOKS}/{}", webhook.uuid))),
        Err(fault) if fault.status == StatusCode::BAD_REQUEST => {
            let plan = planned(&visit, &document, &stored).await?;
            let trouble = "Nothing was written.".to_owned();
            refused(&draft.view(visit.frame, Some(plan), Some(trouble)))
        }
        Err(fault) => Err(fault),
    }
}

fn refused(view: &EditView) -> Result<Response, Fault> {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, shown(view)?).into_response())
}

/// The webhook that is there, as it is shown; null for a new one.
async fn stored(visit: &Visit, uuid: Option<&str>) -> Result<Value, Fault> {
    match uuid {
        Some(uuid) => visit.get(&format!("/webhooks/{}", segment(uuid))).await,
        None => Ok(Value::Null),
    }
}

/// Tells two states of a webhook apart.
fn stamp(stored: &Value) -> String {
    let hash = digest(&SHA256, stored.to_string().as_bytes());
    hash.as_ref().first_chunk().copied().map_or(0, u64::from_be_bytes).to_string()
}

async fn planned(visit: &Visit, document: &Value, stored: &Value) -> Result<Plan, Fault> {
    let check: WebhookCheck = visit.post("/api/v1/webhooks/check", document).await?;
    let told = |FieldError { pointer, detail }: FieldError| {
        if pointer.is_empty() { detail } else { format!("{pointer} {detail}") }
    };
    let plan = Plan {
        faults: check.errors.into_iter().map(told).collect(),
        warnings: check.warnings,
        lane: check.lane,
        ..Plan::default()
    };
    if stored.is_null() {
        let mut plan = Plan { is_change: true, ..plan };
        plan.faults.extend(starred(document));
        return Ok(plan);
    }
    let Comparison { differences, hidden } = compare(document, stored);
    // Whoever writes over the stars means it.
    let hidden = hidden.into_iter().map(|field| Row {
        field,
        now: "starred".to_owned(),
        wanted: "as written here".to_owned(),
    });
    let rows: Vec<Row> = differences.into_iter().map(Row::from).chain(hidden).collect();
    Ok(Plan { is_change: !rows.is_empty(), rows, ..plan })
}

/// What stands for secrets in a document that was copied: nothing is kept that it could stand for.
fn starred(document: &Value) -> Vec<String> {
    let request = &document["request"];
    let headers = request["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| (format!("/request/headers/{name}"), value));
    let members = ["url", "username", "password"];
    let members = members.map(|name| (format!("/request/{name}"), &request[name]));
    let starred = headers.chain(members).filter(|(_, value)| is_starred(value));
    starred
        .map(|(place, _)| {
            format!("{place} is starred: name the secret, as in ${{user.githubToken}}")
        })
        .collect()
}

/// Both values as texts, as far as they are shown.
fn texts(now: &Value, wanted: &Value) -> (String, String) {
    match (now, wanted) {
        (Value::String(now), Value::String(wanted)) => brief(now, wanted, MAX_SHOWN),
        _ => brief(&as_json(now), &as_json(wanted), MAX_SHOWN),
    }
}

fn as_json(value: &Value) -> String {
    if value.is_null() { "nothing".to_owned() } else { value.to_string() }
}
