//! Credentials: what is known of them, and the way from one value to the next.

mod inline;

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri};
use jiff::Timestamp;
use postrider_api::{
    Credential, CredentialList, CredentialUsers, CredentialWarning, FollowingValue, NotProbed,
    PendingSet, PendingValue, ProbeFindings, ProbeQuery, ProbeRequest, ProbedRepository,
    SecretName, SecretProbe, SecretSet, ShortPageQuery, SwitchRequest,
};
use postrider_domain::{CredentialFacts, CredentialKind, WhichValue, credential_warnings};
use postrider_http_server::Problem;
use postrider_http_server::openapi::Operation;
use postrider_http_server::openapi::Tag;
use postrider_store::{CredentialRow, PendingPut, ProbeAsked, ProbeRow, Switched};
use serde_json::json;

use crate::api::body::{flag, read_object};
use crate::api::credentials::inline::InlineSeen;
use crate::api::example::{LANE, TIME, WEBHOOK};
use crate::api::params::{Params, Segment, ShortPage, wrong};
use crate::api::secrets::{check_name, of_one, usable, wake_opened};
use crate::app::{App, Changes};

/// When no other value can follow.
const OF_AN_APP: &str = "The secret is a GitHub App: its tokens are renewed by themselves.";

/// Characters of a reason.
const LONGEST_REASON: usize = 200;

/// `GET /api/v1/credentials`.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[ShortPageQuery::NAMES])?;
    let rows = app.store().credentials().await?;
    let mut users = users(&app).await?;
    let now = Timestamp::now();
    let mut credentials: Vec<Credential> = rows
        .into_iter()
        .map(|row| {
            let used_by = users.remove(&Of::Secret(row.secret.name.clone())).unwrap_or_default();
            of_secret(&app, row, used_by, now)
        })
        .collect();
    if users.keys().any(|of| matches!(of, Of::Inline(_))) {
        let seen = InlineSeen::read(&app).await?;
        let inline = |(of, used_by)| inline(&app, of, used_by, &seen, now);
        credentials.extend(users.into_iter().filter_map(inline));
    }
    let page = ShortPage::of(credentials, |credential| &credential.name, &params)?;
    let ShortPage { rows: credentials, next, total } = page;
    Ok(Json(CredentialList { credentials, next, total, total_is_exact: true }).into_response())
}

pub(super) fn list_described() -> Operation {
    let example = json!({
        "name": "githubToken",
        "kind": "token",
        "used_by": {"webhooks": [WEBHOOK], "lanes": [LANE]},
        "owner": "pactflow-acme",
        "scopes": ["repo"],
        "expires_at": TIME,
        "last_success_at": TIME,
        "last_refusal_at": null,
        "pending": null,
        "warnings": [{"code": "expires", "detail": "it expires within 14 days"}],
    });
    Operation::new(
        Tag::Operations,
        "listCredentials",
        "List credentials with what is known of them",
    )
    .description("Never their values. Secrets, and what is written into webhooks.")
    .query::<ShortPageQuery>()
    .answers::<CredentialList>(200, "Fine.")
    .example(
        200,
        json!({"credentials": [example], "next": null, "total": 1, "total_is_exact": true}),
    )
}

/// What uses a credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    /// The secret of this name.
    Secret(String),
    /// What is written into webhooks, by its place in the name of a lane.
    Inline(String),
}

async fn users(app: &App) -> Result<BTreeMap<Of, CredentialUsers>, Problem> {
    let mut users: BTreeMap<Of, CredentialUsers> = BTreeMap::new();
    let table = app.store().webhook_table(None).await?;
    for webhook in table.iter().flat_map(|table| &table.webhooks) {
        let credential = webhook.lane.rsplit_once('/').map_or("", |(_, credential)| credential);
        let is_inline = ["inline-", "basic-"].iter().any(|kind| credential.starts_with(kind))
            && !webhook.secret_names.contains(credential);
        let inline = is_inline.then(|| Of::Inline(credential.to_owned()));
        for of in webhook.secret_names.iter().cloned().map(Of::Secret).chain(inline) {
            let used_by = users.entry(of).or_default();
            used_by.webhooks.push(webhook.webhook.uuid.clone());
            if !used_by.lanes.contains(&webhook.lane) {
                used_by.lanes.push(webhook.lane.clone());
            }
        }
    }
    Ok(users)
}

fn warnings(app: &App, facts: &CredentialFacts, now: Timestamp) -> Vec<CredentialWarning> {
    credential_warnings(facts, &app.config.machine_users, now)
        .into_iter()
        .map(|warning| CredentialWarning {
            code: warning.code().to_owned(),
            detail: warning.sentence(),
        })
        .collect()
}

fn of_secret(
    app: &App,
    row: CredentialRow,
    used_by: CredentialUsers,
    now: Timestamp,
) -> Credential {
    let kind = match (&row.secret.github_app, row.is_github) {
        (Some(_), _) => CredentialKind::GithubApp,
        (None, true) => CredentialKind::Token,
        (None, false) => CredentialKind::Other,
    };
    // GitHub revokes no app that is not used.
    let last_used_at = row.last_success_at.or(Some(row.secret.updated_at));
    let facts = CredentialFacts {
        is_inline: false,
        owner: row.owner,
        scopes: row.scopes,
        expires_at: row.expires_at,
        last_used_at: last_used_at.filter(|_| kind != CredentialKind::GithubApp),
    };
    Credential {
        name: row.secret.name,
        kind,
        used_by,
        warnings: warnings(app, &facts, now),
        owner: facts.owner,
        scopes: facts.scopes,
        expires_at: facts.expires_at,
        last_success_at: row.last_success_at,
        last_refusal_at: row.last_refusal_at,
        pending: row.pending_at.map(|since| PendingValue { since }),
    }
}

/// What is written into webhooks; secrets that have no value yet are none.
fn inline(
    app: &App,
    of: Of,
    used_by: CredentialUsers,
    seen: &InlineSeen,
    now: Timestamp,
) -> Option<Credential> {
    let Of::Inline(name) = of else { return None };
    let facts = CredentialFacts { is_inline: true, ..CredentialFacts::default() };
    Some(Credential {
        name,
        kind: CredentialKind::Other,
        last_success_at: seen.success(&used_by),
        last_refusal_at: seen.refusal(&used_by),
        used_by,
        owner: None,
        scopes: None,
        expires_at: None,
        pending: None,
        warnings: warnings(app, &facts, now),
    })
}

/// `PUT /api/v1/secrets/{name}/pending`.
pub(super) async fn set_pending(
    State(app): State<App>,
    Changes(changes): Changes,
    Segment(name): Segment,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let object = read_object(&app, &headers, body, &["value"]).await?;
    let (value, warnings) = usable(&object)?;
    let pending_since = match changes.set_pending(&name, &value).await? {
        PendingPut::Pending(at) => Some(at),
        PendingPut::Current => None,
        PendingPut::GithubApp => return Err(is_app(&name)),
        PendingPut::NotFound => return Err(unknown()),
    };
    let set = PendingSet { name: SecretName(name), pending_since, warnings };
    Ok(Json(set).into_response())
}

pub(super) fn set_pending_described() -> Operation {
    let example = json!({"name": "githubToken", "pending_since": TIME});
    of_one("setPendingSecret", "Set the value that is to follow a secret's")
        .description(
            "It is kept beside the value in use, which goes on being sent. The same value again \
             changes nothing; the one in use is none that could follow.",
        )
        .takes::<FollowingValue>(json!({"value": "a-new-token"}))
        .answers::<PendingSet>(200, "Fine.")
        .example(200, example)
        .answers_nothing(422, "The value holds a control character, which no request can carry.")
        .refuses(404, "NotFound")
        .answers_nothing(409, OF_AN_APP)
}

/// `DELETE /api/v1/secrets/{name}/pending`.
pub(super) async fn drop_pending(
    Changes(changes): Changes,
    Segment(name): Segment,
) -> Result<Response, Problem> {
    check_name(&name)?;
    changes.drop_pending(&name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) fn drop_pending_described() -> Operation {
    of_one("dropPendingSecret", "Forget the value that was to follow a secret's")
        .answers_nothing(204, "There is none, any more or at all.")
}

/// `POST /api/v1/secrets/{name}/probe`.
pub(super) async fn ask_probe(
    State(app): State<App>,
    Changes(changes): Changes,
    Segment(name): Segment,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let object = read_object(&app, &headers, body, &["which"]).await?;
    let which = object.get("which").map(|which| which.as_str().unwrap_or_default());
    let which = which_value(which).map_err(|detail| Problem::bad("/which", detail))?;
    match changes.ask_probe(&name, which).await? {
        ProbeAsked::No(_) => {}
        ProbeAsked::NoValue => return Err(no_value(which)),
        ProbeAsked::GithubApp => return Err(is_app(&name)),
    }
    let probe = app.store().probe(&name, which).await?;
    Ok((StatusCode::ACCEPTED, Json(document(name, which, probe))).into_response())
}

pub(super) fn ask_probe_described() -> Operation {
    let request = ProbeRequest { which: Some(WhichValue::Current) };
    of_one("probeSecret", "Ask for a probe of a secret's value")
        .description(
            "A worker reads whose the value is, and every repository that webhooks dispatch to \
             with it; nothing is changed anywhere. What it found is read by GET.",
        )
        .takes::<ProbeRequest>(json!(request))
        .answers::<SecretProbe>(202, "A worker will make it.")
        .example(202, probe_example(false))
        .refuses(404, "NotFound")
        .answers_nothing(409, OF_AN_APP)
}

/// `GET /api/v1/secrets/{name}/probe`.
pub(super) async fn show_probe(
    State(app): State<App>,
    Segment(name): Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let params = Params::of(&uri, &[ProbeQuery::NAMES])?;
    let which = which_value(params.get("which")).map_err(|detail| wrong("which", detail))?;
    let probe = app.store().probe(&name, which).await?;
    Ok(Json(document(name, which, probe)).into_response())
}

pub(super) fn show_probe_described() -> Operation {
    of_one("showSecretProbe", "Show the last probe of a secret's value")
        .query::<ProbeQuery>()
        .answers::<SecretProbe>(200, "Fine; nothing was found out while `finished_at` is null.")
        .example(200, probe_example(true))
}

/// `POST /api/v1/secrets/{name}/switch`.
pub(super) async fn switch(
    State(app): State<App>,
    Changes(changes): Changes,
    Segment(name): Segment,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let object = read_object(&app, &headers, body, &["reason", "force"]).await?;
    let is_forced = flag(&object, "force")?;
    let reason = object.get("reason").map(|reason| {
        let text = reason.as_str().filter(|text| text.chars().count() <= LONGEST_REASON);
        text.ok_or_else(|| {
            Problem::bad(
                "/reason",
                format!("must be a string of at most {LONGEST_REASON} characters"),
            )
        })
    });
    match changes.switch_secret(&name, reason.transpose()?, is_forced).await? {
        Switched::Done { secret, opened } => {
            wake_opened(&app, &opened).await;
            let name = SecretName(secret.name);
            let set =
                SecretSet { name, rev: secret.rev, lanes_opened: opened, warnings: Vec::new() };
            Ok(Json(set).into_response())
        }
        Switched::NotFound => Err(unknown()),
        Switched::GithubApp => Err(is_app(&name)),
        Switched::NothingPending => {
            Err(conflict("there is no value that is to follow: set it first"))
        }
        Switched::NotProbed(None) => {
            Err(conflict("nobody has tried the value yet: probe it first, or say force"))
        }
        Switched::NotProbed(Some(verdict)) => Err(conflict(&format!(
            "the last probe of the value found {}, not ok: nothing is switched unless you say force",
            verdict.as_str()
        ))),
    }
}

pub(super) fn switch_described() -> Operation {
    let request = SwitchRequest { reason: Some("it expires".to_owned()), force: Some(true) };
    let example = json!({"name": "githubToken", "rev": 3, "lanes_opened": [LANE]});
    of_one("switchSecret", "Put the value that is to follow in the place of the one in use")
        .description(
            "Only if the last probe of it found `ok`, unless `force` is said. Opens the lanes that \
             were held for the old one.",
        )
        .takes::<SwitchRequest>(json!(request))
        .answers::<SecretSet>(200, "It is in use.")
        .example(200, example)
        .refuses(404, "NotFound")
        .answers_nothing(
            409,
            "Nothing is to follow, no probe found it good, or the secret is a GitHub App.",
        )
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no secret of this name")
}

fn no_value(which: WhichValue) -> Problem {
    let detail = match which {
        WhichValue::Current => return unknown(),
        WhichValue::Pending => "there is no value that is to follow this secret's",
        WhichValue::Previous => "the value before this one is not kept any more",
    };
    Problem::new(StatusCode::NOT_FOUND, detail)
}

fn is_app(name: &str) -> Problem {
    conflict(&format!("{name} is a GitHub App: its tokens are renewed by themselves"))
}

fn conflict(detail: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, detail)
}

fn which_value(text: Option<&str>) -> Result<WhichValue, String> {
    let words = WhichValue::ALL.map(WhichValue::as_str).join(", ");
    text.map_or(Ok(WhichValue::Current), str::parse).map_err(|_| format!("must be one of {words}"))
}

fn probe_example(is_finished: bool) -> serde_json::Value {
    let at = |at: &str| if is_finished { json!(at) } else { json!(null) };
    let repository = json!({
        "url": "https://api.github.example.org/repos/acme/billing",
        "access": "writable",
        "status_code": 200,
        "webhooks": [WEBHOOK],
    });
    let found = json!({
        "owner": "pactflow-acme", "scopes": ["repo"], "expires_at": null,
        "repositories": [repository], "not_probed": [],
    });
    json!({
        "name": "githubToken", "which": "current", "no": 1, "asked_at": TIME,
        "finished_at": at(TIME), "verdict": at("ok"),
        "found": if is_finished { found } else { json!(null) },
    })
}

fn document(name: String, which: WhichValue, probe: Option<ProbeRow>) -> SecretProbe {
    SecretProbe {
        name: SecretName(name),
        which,
        no: probe.as_ref().map(|probe| probe.no),
        asked_at: probe.as_ref().map(|probe| probe.asked_at),
        finished_at: probe.as_ref().and_then(|probe| probe.finished_at),
        verdict: probe.as_ref().and_then(|probe| probe.verdict),
        found: probe.and_then(|probe| probe.found).map(findings),
    }
}

fn findings(found: postrider_store::ProbeFindings) -> ProbeFindings {
    let repositories = found.repositories.into_iter().map(|repository| ProbedRepository {
        url: repository.url,
        access: repository.access,
        status_code: repository.status_code,
        webhooks: repository.webhooks,
    });
    let not_probed = found.not_probed.into_iter();
    ProbeFindings {
        owner: found.owner,
        scopes: found.scopes,
        expires_at: found.expires_at,
        repositories: repositories.collect(),
        not_probed: not_probed.map(|(webhook_uuid, why)| NotProbed { webhook_uuid, why }).collect(),
    }
}
