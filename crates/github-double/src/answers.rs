//! What each call is answered when no script speaks of it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::app::{App, AppCall};
use crate::checks::{self, Refusal};
use crate::options::LimitStyle;
use crate::recorded::recorded;
use crate::reply::{Reply, ReplyBody, whole_seconds};
use crate::request::{Body, Request};
use crate::route::Route;
use crate::tokens::Tokens;

/// When a token ends. What was recorded is over some day.
const EXPIRATION: &str = "github-authentication-token-expiration";

pub(crate) fn check_content(request: &Request<'_>) -> Result<(), Refusal> {
    match (&request.call.route, request.body) {
        (Route::Dispatch { .. } | Route::WorkflowDispatch { .. }, Body::TooLong) => {
            Err(Refusal::TooLarge)
        }
        (Route::Dispatch { .. }, Body::Read(_) | Body::Broken | Body::Unread) => {
            checks::repository_dispatch(request.content())
        }
        (Route::WorkflowDispatch { .. }, Body::Read(_) | Body::Broken | Body::Unread) => {
            checks::workflow_dispatch(request.content())
        }
        (
            Route::Hook { .. }
            | Route::RateLimit
            | Route::User
            | Route::Repo { .. }
            | Route::Actions { .. }
            | Route::Versions
            | Route::App(_)
            | Route::Journal
            | Route::Control
            | Route::Unknown,
            _,
        ) => Ok(()),
    }
}

pub(crate) fn refuse(request: &Request<'_>, refusal: Refusal) -> Reply {
    let reply = request.case(refusal.case());
    match refusal.message() {
        Some(message) => reply.edit_body(|body| body["message"] = Value::String(message)),
        None => reply,
    }
}

/// The answer to a request that passed.
pub(crate) fn accepted(request: &Request<'_>) -> Reply {
    match &request.call.route {
        Route::Dispatch { .. } => request.case("dispatch-204-classic-pat"),
        Route::WorkflowDispatch { repo } => workflow_accepted(request, repo),
        Route::Hook { .. } => Reply::json(StatusCode::OK, &json!({"received": true})),
        Route::RateLimit => request.case("get-rate-limit-200"),
        Route::User => {
            let ends = request.stamp.in_ninety_days();
            request.case("get-user-200-classic").with_headers(&[(EXPIRATION.to_owned(), ends)])
        }
        Route::Repo { repo } => request
            .case("get-repo-200")
            .edit_body(|body| body["full_name"] = Value::String(repo.clone())),
        Route::Actions { what, .. } => actions(request, what),
        Route::Versions => Reply::json(StatusCode::OK, &json!(["2026-03-10", "2022-11-28"])),
        Route::App(_) | Route::Journal | Route::Control | Route::Unknown => {
            request.case("not-found-404")
        }
    }
}

/// A repository with one workflow, of which nothing ran.
fn actions(request: &Request<'_>, what: &str) -> Reply {
    match what {
        "runs" => request.case("list-runs-200-empty"),
        "workflows" => {
            let workflow = json!({"id": 1, "name": "verify", "state": "active"});
            Reply::json(StatusCode::OK, &json!({"total_count": 1, "workflows": [workflow]}))
        }
        _ => request.case("not-found-404"),
    }
}

/// The answer to what an app asks as itself.
pub(crate) fn app_asks(
    request: &Request<'_>,
    call: &AppCall,
    app: Option<&App>,
    tokens: &mut Tokens,
) -> Reply {
    let not_found = || request.case("not-found-404");
    let Some(app) = app else { return not_found() };
    let authorization = request.header("authorization").unwrap_or_default();
    let proof = authorization.strip_prefix("Bearer ").unwrap_or_default();
    if !app.is_proved_by(proof, request.stamp.epoch) {
        let said = "A JSON web token could not be decoded";
        return request.case("bad-credentials-401").edit_body(|body| body["message"] = said.into());
    }
    match call {
        AppCall::Token(id) if *id == app.installation => mint(request, app, tokens),
        AppCall::Installation(id) if *id == app.installation => {
            Reply::json(StatusCode::OK, &app.shown())
        }
        AppCall::OfOwner(owner) if owner.eq_ignore_ascii_case(&app.owner) => {
            Reply::json(StatusCode::OK, &app.shown())
        }
        AppCall::Token(_) | AppCall::Installation(_) | AppCall::OfOwner(_) | AppCall::OfUser => {
            not_found()
        }
    }
}

fn mint(request: &Request<'_>, app: &App, tokens: &mut Tokens) -> Reply {
    let say = |status: StatusCode, said: &str| {
        Reply::json(status, &json!({"message": said, "status": status.as_str()}))
    };
    if app.suspended {
        return say(StatusCode::FORBIDDEN, "This installation has been suspended");
    }
    let Some(grant) = app.grant(request.json, request.call.arrived) else {
        let said = "The permissions requested are not granted to this installation.";
        return say(StatusCode::UNPROCESSABLE_ENTITY, said);
    };
    let lives = i64::try_from(app.lives.as_secs()).unwrap_or(i64::MAX);
    let ends = jiff::Timestamp::from_second(request.stamp.epoch.saturating_add(lives));
    let ends = ends.unwrap_or(jiff::Timestamp::MAX).to_string();
    let permissions = json!(grant.permissions);
    let token = tokens.mint(app.id, grant);
    request.case("installation-token-201").edit_body(|body| {
        body["token"] = token.into();
        body["expires_at"] = ends.into();
        body["permissions"] = permissions;
    })
}

/// What a token of an app is told that may not do this.
pub(crate) fn not_accessible(request: &Request<'_>) -> Reply {
    let said = "Resource not accessible by integration";
    request.case("pat-not-accessible-403").edit_body(|body| body["message"] = said.into())
}

/// 200 with the run where GitHub tells of it: on request, and always from 2026-03-10 on (GitHub
/// docs: breaking changes).
pub(crate) fn workflow_accepted(request: &Request<'_>, repo: &str) -> Reply {
    let asked = request.json.and_then(|json| json.get("return_run_details")) == Some(&json!(true));
    if !asked && request.header("x-github-api-version") != Some("2026-03-10") {
        return request.case("dispatch-204-classic-pat");
    }
    let run = request.stamp.serial;
    request.case("workflow-dispatch-200").edit_body(|body| {
        *body = json!({
            "workflow_run_id": run,
            "run_url": format!("https://api.github.com/repos/{repo}/actions/runs/{run}"),
            "html_url": format!("https://github.com/{repo}/actions/runs/{run}"),
        });
    })
}

pub(crate) fn limited(request: &Request<'_>, style: LimitStyle, wait: Duration) -> Reply {
    let seconds = whole_seconds(wait);
    let (case, headers) = match style {
        LimitStyle::Secondary403 => ("secondary-limit-403-retry-after", retry_after(seconds)),
        LimitStyle::Secondary429 => ("secondary-limit-429-retry-after", retry_after(seconds)),
        LimitStyle::SecondaryBodyOnly => ("secondary-content-creation-403", Vec::new()),
        LimitStyle::Primary => {
            let reset = request.stamp.epoch.saturating_add_unsigned(seconds);
            let header = ("x-ratelimit-reset".to_owned(), reset.to_string());
            ("primary-limit-403", vec![header])
        }
    };
    request.case(case).with_headers(&headers)
}

pub(crate) fn retry_after(seconds: u64) -> Vec<(String, String)> {
    vec![("retry-after".to_owned(), seconds.to_string())]
}

/// Not recorded: GitHub doesn't publish what a banned integration is told.
pub(crate) fn banned() -> Reply {
    Reply::json(
        StatusCode::FORBIDDEN,
        &json!({
            "message": "Sorry. Your account was suspended.",
            "documentation_url": "https://docs.github.com/rest",
            "status": "403",
        }),
    )
}

pub(crate) fn exact(case: &str) -> Reply {
    recorded(case).map_or_else(|| plain(500, ReplyBody::Whole(Bytes::new())), Reply::exact)
}

pub(crate) fn plain(status: u16, body: ReplyBody) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply { status, headers: HeaderMap::new(), body }
}

/// As recorded for a renamed repository, with another status and target.
pub(crate) fn redirect(status: u16, location: &str) -> Reply {
    let mut reply = exact("renamed-301-read").edit_body(|body| {
        body["url"] = Value::String(location.to_owned());
    });
    reply.status = StatusCode::from_u16(status).unwrap_or(StatusCode::TEMPORARY_REDIRECT);
    if let Ok(location) = HeaderValue::try_from(location) {
        reply.headers.insert(header::LOCATION, location);
    }
    reply
}
