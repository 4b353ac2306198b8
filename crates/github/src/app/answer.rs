//! What GitHub answers to an app.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use postrider_domain::{GithubAnswer, TargetKind};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::headers::{retry_after, wait_until};
use crate::message::Message;
use crate::read::read;

/// No token is used for longer, whatever the answer says: GitHub's live one hour.
const LONGEST_LIFE: Duration = Duration::from_hours(1);
/// Longest token that is taken, in bytes; GitHub's have up to some 520.
const LONGEST_TOKEN: usize = 8 * 1024;
/// Longest text of GitHub's that is told, in characters.
const LONGEST_TOLD: usize = 200;

/// A token as GitHub gives it.
#[derive(Debug, Clone)]
pub struct AppToken {
    /// The token.
    pub token: SecretString,
    /// How long it lives from the answer on, by GitHub's own clock.
    pub lives: Duration,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What it means for the deliveries that wait for the token: the credential is refused, a
    /// permission is missing, a limit was met, or GitHub is not well.
    pub answer: GithubAnswer,
    /// How long GitHub says to wait.
    pub wait: Option<Duration>,
    /// The permissions or the repository asked for are not the installation's (422).
    pub is_too_much: bool,
    /// In words, without anything secret; from GitHub's own text.
    pub why: String,
}

/// An installation of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its id.
    pub id: u64,
    /// Its permissions, by GitHub's names.
    pub permissions: Map<String, Value>,
}

/// Reads the answer to a request for a token; `now` is our clock's time.
///
/// # Errors
/// There is no token in it.
pub fn read_token(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<AppToken, Denied> {
    if !(200..300).contains(&status) {
        return Err(denied(status, headers, body, now));
    }
    taken(headers, body, now).ok_or_else(unreadable)
}

fn taken(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<AppToken> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let token = answer.get("token")?.as_str()?;
    let is_sendable = token.bytes().all(|b| b.is_ascii_graphic());
    if token.is_empty() || token.len() > LONGEST_TOKEN || !is_sendable {
        return None;
    }
    let ends: Timestamp = answer.get("expires_at")?.as_str()?.parse().ok()?;
    let lives = wait_until(ends, headers, now).min(LONGEST_LIFE);
    Some(AppToken { token: token.into(), lives })
}

/// Reads the answer to a question for an installation.
///
/// # Errors
/// There is none in it.
pub fn read_installation(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Installed, Denied> {
    if !(200..300).contains(&status) {
        return Err(denied(status, headers, body, now));
    }
    let found = || {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let permissions = answer.get("permissions").and_then(Value::as_object);
        Some(Installed {
            id: answer.get("id")?.as_u64()?,
            permissions: permissions.cloned().unwrap_or_default(),
        })
    };
    found().ok_or_else(unreadable)
}

fn unreadable() -> Denied {
    Denied {
        answer: GithubAnswer::ServerError,
        wait: None,
        is_too_much: false,
        why: "GitHub's answer can't be read".to_owned(),
    }
}

/// 401, 404 and a 403 about a suspended installation are about the credential, and so is what else
/// can't get better by itself: deliveries then wait for a person and none fails. 422 names
/// something that the installation does not have.
fn denied(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Denied {
    let (answer, wait) = match read(TargetKind::Other, status, headers, body, now) {
        limited @ GithubAnswer::RateLimited { wait } => (limited, wait),
        GithubAnswer::ServerError => (GithubAnswer::ServerError, retry_after(headers, now)),
        GithubAnswer::PermissionDenied => (GithubAnswer::PermissionDenied, None),
        _ if status == 422 => (GithubAnswer::PermissionDenied, None),
        forbidden @ GithubAnswer::TokenForbidden(_) => (forbidden, None),
        GithubAnswer::TokenRefused
        | GithubAnswer::NotFound
        | GithubAnswer::Invalid
        | GithubAnswer::Redirected
        | GithubAnswer::Accepted
        | GithubAnswer::Success
        | GithubAnswer::UnexpectedSuccess
        | GithubAnswer::Page => (GithubAnswer::TokenRefused, None),
    };
    let said: Option<String> =
        Message::original(body).map(|text| text.chars().take(LONGEST_TOLD).collect());
    let why = match said.filter(|said| !said.is_empty()) {
        Some(said) => format!("GitHub answered {status}: {said}"),
        None => format!("GitHub answered {status}"),
    };
    Denied { answer, wait, is_too_much: status == 422, why }
}
