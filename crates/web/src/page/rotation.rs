//! A credential's new value, in the steps of `postrider secrets rotate`: kept beside the old one,
//! tried, put in its place. How far it came the server keeps, so each step can be left and taken up.

use askama::Template;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use postrider_api::{
    Credential, CredentialList, FollowingValue, LaneList, LaneState, PendingSet, ProbeRequest,
    SecretProbe, SecretSet, SwitchRequest,
};
use postrider_domain::{
    CredentialKind, ProbeVerdict, RepositoryAccess, WhichValue, suggested_token_name,
};
use serde_json::json;

use crate::page::answer::{Fault, on_to, shown};
use crate::page::show::{Moment, quoted, tone};
use crate::page::visit::{Frame, Visit};
use crate::page::words::{Words, segment};

/// A repository as the new value sees it.
#[derive(Debug)]
struct Read {
    url: String,
    access: &'static str,
    tone: &'static str,
    code: Option<u16>,
}

/// What trying the new value came to.
#[derive(Debug)]
struct Tried {
    at: Option<Moment>,
    verdict: Option<&'static str>,
    tone: &'static str,
    owner: Option<String>,
    scopes: Option<String>,
    ends: Option<Moment>,
    /// It belongs to somebody else than the value in use.
    is_strangers: bool,
    repositories: Vec<Read>,
    left_out: Vec<String>,
}

/// A lane that uses it.
#[derive(Debug)]
struct Waiting {
    lane: String,
    state: &'static str,
    tone: &'static str,
    deliveries: String,
    backlog: u64,
}

#[derive(Template)]
#[template(path = "rotation.html")]
struct RotationView {
    frame: Frame,
    name: String,
    /// Where its steps are.
    path: String,
    owner: Option<String>,
    last_refusal: Option<Moment>,
    suggested: String,
    pending: Option<Moment>,
    /// `None` while the new value was not asked to be tried.
    tried: Option<Tried>,
    verdict: Option<ProbeVerdict>,
    /// Stands for the new value, and for how it was tried.
    seen: String,
    /// Whether the new value is put in the old one's place without a further word.
    is_good: bool,
    waiting: Vec<Waiting>,
    command: String,
    /// What was just done.
    done: Vec<String>,
    trouble: Option<String>,
}

/// `GET /ui/credentials/{name}`.
pub(super) async fn show(
    visit: Visit,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Fault> {
    let switched = Words::of(&uri)?.get("switched").and_then(|rev| rev.parse::<i64>().ok());
    let done = switched.map(|rev| format!("Switched: revision {rev} is in use."));
    shown(&RotationView { done: done.into_iter().collect(), ..view(&visit, &name).await? })
}

/// Where the steps of a credential are.
pub(super) fn place(name: &str) -> String {
    format!("/ui/credentials/{}", segment(name))
}

/// The command that takes the same steps.
pub(super) fn command(name: &str) -> String {
    format!("postrider secrets rotate {}", quoted(name))
}

/// Why no new value can be put in a credential's place, if none can.
pub(super) fn not_rotated(credential: &Credential) -> Option<&'static str> {
    if credential.warnings.iter().any(|warning| warning.code == "inline") {
        Some("this is written into webhooks: make a secret of it, and name that in them")
    } else if credential.kind == CredentialKind::GithubApp {
        Some("this is a GitHub App: its tokens are renewed by themselves")
    } else {
        None
    }
}

async fn view(visit: &Visit, name: &str) -> Result<RotationView, Fault> {
    let credentials = visit.all::<CredentialList>("/api/v1/credentials").await?;
    let credential = credentials.into_iter().find(|one| one.name == name);
    let credential = credential.ok_or_else(|| {
        let first = format!("there is no credential of this name: `postrider secrets set {name}`");
        Fault::new(StatusCode::NOT_FOUND, first)
    })?;
    if let Some(why) = not_rotated(&credential) {
        return Err(Fault::bad(why));
    }
    let frame = visit.frame.clone();
    let tried = match credential.pending {
        Some(_) => tried(visit, &credential).await?,
        None => None,
    };
    let no = tried.as_ref().and_then(|(_, probe)| probe.no);
    let seen = format!("{:?} {no:?}", credential.pending.as_ref().map(|pending| pending.since));
    let verdict = tried.as_ref().and_then(|(_, probe)| probe.verdict);
    let tried = tried.map(|(tried, _)| tried);
    // Where no read can try it, nothing could be found: what it is worth shows in use.
    let is_good = matches!(verdict, Some(ProbeVerdict::Ok | ProbeVerdict::Nothing))
        && tried.as_ref().is_some_and(|tried| !tried.is_strangers);
    Ok(RotationView {
        path: place(name),
        last_refusal: Moment::if_any(credential.last_refusal_at, frame.now),
        suggested: suggested_token_name(frame.now),
        pending: credential.pending.as_ref().map(|pending| Moment::of(pending.since, frame.now)),
        tried,
        verdict,
        seen,
        is_good,
        waiting: waiting(visit, &credential.used_by.lanes).await?,
        command: command(name),
        owner: credential.owner,
        name: credential.name,
        done: Vec::new(),
        trouble: None,
        frame,
    })
}

/// How the new value was tried, if anybody asked for that.
async fn tried(
    visit: &Visit,
    credential: &Credential,
) -> Result<Option<(Tried, SecretProbe)>, Fault> {
    let which = Words::from([("which", WhichValue::Pending.as_str())]);
    let probe: SecretProbe = visit.get(&which.at(&of(&credential.name, "probe"))).await?;
    if probe.no.is_none() {
        return Ok(None);
    }
    let now = visit.frame.now;
    let found = probe.found.clone().unwrap_or_default();
    let is_strangers = match (&credential.owner, &found.owner) {
        (Some(before), Some(owner)) => !before.eq_ignore_ascii_case(owner),
        (None, _) | (_, None) => false,
    };
    let read = |one: postrider_api::ProbedRepository| Read {
        tone: if one.access == RepositoryAccess::Writable { tone::GOOD } else { tone::BAD },
        access: one.access.as_str(),
        code: one.status_code,
        url: one.url,
    };
    let tried = Tried {
        at: Moment::if_any(probe.finished_at, now),
        verdict: probe.verdict.map(ProbeVerdict::meaning),
        tone: match probe.verdict {
            None => tone::CALM,
            Some(ProbeVerdict::Ok) => tone::GOOD,
            Some(ProbeVerdict::Refused) => tone::BAD,
            Some(
                ProbeVerdict::Insufficient
                | ProbeVerdict::Limited
                | ProbeVerdict::Unknown
                | ProbeVerdict::Nothing,
            ) => tone::WARN,
        },
        scopes: found.scopes.map(|scopes| scopes.join(", ")),
        ends: Moment::if_any(found.expires_at, now),
        owner: found.owner,
        is_strangers,
        repositories: found.repositories.into_iter().map(read).collect(),
        left_out: found.not_probed.into_iter().map(|one| one.why).collect(),
    };
    Ok(Some((tried, probe)))
}

/// The lanes that use it, with what waits there.
async fn waiting(visit: &Visit, names: &[String]) -> Result<Vec<Waiting>, Fault> {
    let lanes = visit.all::<LaneList>("/api/v1/lanes").await?;
    let used = lanes.into_iter().filter(|lane| names.contains(&lane.name));
    let of = |lane: postrider_api::Lane| Waiting {
        state: lane.state.as_str(),
        tone: if lane.state == LaneState::Open { tone::GOOD } else { tone::WARN },
        deliveries: Words::from([("lane", lane.name.as_str())]).at("/ui/deliveries"),
        backlog: lane.backlog,
        lane: lane.name,
    };
    Ok(used.map(of).collect())
}

/// A step's call of the API.
fn of(name: &str, step: &str) -> String {
    format!("/api/v1/secrets/{}/{step}", segment(name))
}

fn steps(name: &str) -> Response {
    on_to(&place(name))
}

/// `POST /ui/credentials/{name}/pending`: keeps the new value beside the old one.
pub(super) async fn set(
    visit: Visit,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Fault> {
    let words = Words::sent(body).await?;
    let value = words.get("value").ok_or_else(|| Fault::bad("the form holds no value"))?;
    let value = FollowingValue { value: value.to_owned() };
    let set: PendingSet = visit.put(&of(&name, "pending"), &json!(value)).await?;
    if set.pending_since.is_some() && set.warnings.is_empty() {
        return Ok(steps(&name));
    }
    let same = "This is the value in use already: nothing is to follow it.".to_owned();
    let trouble = set.pending_since.is_none().then_some(same);
    shown(&RotationView { trouble, done: set.warnings, ..view(&visit, &name).await? })
}

/// `POST /ui/credentials/{name}/forget`: the old value stays.
pub(super) async fn forget(visit: Visit, Path(name): Path<String>) -> Result<Response, Fault> {
    visit.delete(&of(&name, "pending")).await?;
    Ok(steps(&name))
}

/// `POST /ui/credentials/{name}/probe`: a worker will try the new value.
pub(super) async fn probe(visit: Visit, Path(name): Path<String>) -> Result<Response, Fault> {
    let asked = ProbeRequest { which: Some(WhichValue::Pending) };
    let _probe: SecretProbe = visit.post(&of(&name, "probe"), &json!(asked)).await?;
    Ok(steps(&name))
}

/// `POST /ui/credentials/{name}/switch`: the new value takes the old one's place.
pub(super) async fn switch(
    visit: Visit,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Fault> {
    let words = Words::sent(body).await?;
    let before = view(&visit, &name).await?;
    let is_forced = words.get("force") == Some("yes");
    let trouble = if before.pending.is_none() {
        Some("There is no new value that could be put in its place.")
    } else if words.or_empty("seen") != before.seen {
        Some(
            "Nothing was switched: this is another value, or it was tried again, since you looked.",
        )
    } else if !before.is_good && !is_forced {
        Some(
            "Nothing was switched: the new value was not found good. Try it again, or say that it \
             is to be switched all the same.",
        )
    } else {
        None
    };
    if let Some(trouble) = trouble {
        let view = RotationView { trouble: Some(trouble.to_owned()), ..before };
        return Ok((StatusCode::CONFLICT, shown(&view)?).into_response());
    }
    // The API counts what nothing could try as not tried.
    let is_forced = is_forced || before.verdict == Some(ProbeVerdict::Nothing);
    let reason = words.get("reason").map(str::to_owned);
    let order = SwitchRequest { reason, force: Some(is_forced) };
    let set: SecretSet = visit.post(&of(&name, "switch"), &json!(order)).await?;
    // On to a view that does not switch once more when it is loaded again.
    let done = Words::from([("switched", set.rev.to_string().as_str())]);
    Ok(on_to(&done.at(&place(&name))))
}
