//! What a credential may do, as far as reads tell: whose it is, and which repositories it sees.

use http::HeaderMap;
use jiff::Timestamp;
use postrider_domain::{GithubAnswer, RepositoryAccess, TargetKind};
use serde_json::Value;
use url::Url;

use crate::headers::{text, token_expiry};
use crate::message::Message;
use crate::read::read;

/// What the headers of an answer say of the token that was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFacts {
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
    /// Its scopes; `None` for tokens that have none (fine-grained ones, those of Apps).
    pub scopes: Option<Vec<String>>,
}

/// Scopes of a token that are kept.
const MOST_SCOPES: usize = 50;
/// Characters of a scope, and of a login, that are kept.
const LONGEST_NAME: usize = 100;

/// Reads what an answer to a token that was taken says of it, by what it does not say too.
pub fn token_facts(headers: &HeaderMap) -> TokenFacts {
    let scopes = text(headers, "x-oauth-scopes").map(|scopes| {
        let scopes = scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty());
        scopes.take(MOST_SCOPES).map(cut).collect()
    });
    TokenFacts { expires_at: token_expiry(headers), scopes }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
}

/// Where to ask whose a credential is: `/user` of the same origin, under `/api/v3` if the request
/// is.
pub fn user_url(request: &Url) -> Url {
    let segments: Vec<&str> = request.path_segments().into_iter().flatten().collect();
    let root = if let ["api", "v3", ..] = segments.as_slice() { "/api/v3" } else { "" };
    let mut url = request.clone();
    url.set_path(&format!("{root}/user"));
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The login that `GET /user` answers; `None` for credentials that are no user's.
pub fn read_user(status: u16, body: &[u8]) -> Option<String> {
    let user: Value = serde_json::from_slice(body).ok().filter(|_| status == 200)?;
    user.get("login").and_then(Value::as_str).filter(|login| !login.is_empty()).map(cut)
}

/// Reads the answer to `GET /repos/{owner}/{repo}`; `now` is our clock's time.
pub fn read_repository(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> RepositoryAccess {
    if status == 200 {
        return of_repository(body);
    }
    match read(TargetKind::Other, status, headers, body, now) {
        GithubAnswer::TokenRefused => RepositoryAccess::Refused,
        GithubAnswer::TokenForbidden(_) => RepositoryAccess::Forbidden,
        GithubAnswer::RateLimited { .. } => RepositoryAccess::Limited,
        GithubAnswer::NotFound => RepositoryAccess::NotVisible,
        GithubAnswer::Redirected => RepositoryAccess::Moved,
        // Anything else with a 403 may come from a proxy.
        GithubAnswer::PermissionDenied
            if Message::read(body).says(&["resource not accessible"]) =>
        {
            RepositoryAccess::Forbidden
        }
        GithubAnswer::PermissionDenied
        | GithubAnswer::Accepted
        | GithubAnswer::Invalid
        | GithubAnswer::Success
        | GithubAnswer::UnexpectedSuccess
        | GithubAnswer::Page
        | GithubAnswer::ServerError => RepositoryAccess::Unknown,
    }
}

/// Permissions are those of the user behind the token; where GitHub tells none, writing is taken
/// for allowed.
fn of_repository(body: &[u8]) -> RepositoryAccess {
    let Ok(Value::Object(repository)) = serde_json::from_slice(body) else {
        return RepositoryAccess::Unknown;
    };
    let is = |key: &str| repository.get(key).and_then(Value::as_bool).unwrap_or(false);
    let push = repository.get("permissions").and_then(|rights| rights.get("push")?.as_bool());
    if is("archived") || is("disabled") {
        RepositoryAccess::Archived
    } else if push == Some(false) {
        RepositoryAccess::ReadOnly
    } else {
        RepositoryAccess::Writable
    }
}

#[cfg(test)]
mod tests;
