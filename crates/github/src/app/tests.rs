use std::collections::BTreeSet;

use http::HeaderMap;
use jiff::Timestamp;
use postrider_domain::{GithubAnswer, TokenForbidden};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-11-29T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn only(permissions: &[Permission]) -> Scope {
    Scope::Only(permissions.iter().copied().collect())
}

#[test]
fn a_token_may_do_what_its_paths_need() {
    use Permission::{Actions, Contents, Statuses};
    for (url, scope) in [
        ("https://api.github.com/repos/o/r/dispatches", only(&[Contents])),
        (
            "https://h/api/v3/repos/o/${pactbroker.providerName|url}/dispatches?a=b",
            only(&[Contents]),
        ),
        ("https://h/repos/o/r/actions/workflows/a.yml/dispatches", only(&[Actions])),
        ("https://h/repos/o/r/statuses/${pactbroker.consumerVersionNumber}", only(&[Statuses])),
        ("https://h/repos/o/r/issues", Scope::All),
        ("https://h/repos/o/r/dispatches/", Scope::All),
        ("https://h/orgs/o/dispatches", Scope::All),
        ("https://h", Scope::All),
        ("nonsense", Scope::All),
    ] {
        assert_eq!(Scope::of(url), scope, "{url}");
    }
    let both = only(&[Contents]).and(only(&[Actions]));
    assert_eq!(both, only(&[Actions, Contents]));
    assert_eq!(both.clone().and(Scope::All), Scope::All);
    assert!(both.covers(&only(&[Actions])) && !only(&[Actions]).covers(&both));
    assert!(Scope::All.covers(&both) && Scope::All.covers(&Scope::All));
    assert!(!both.covers(&Scope::All));
    assert_eq!(both.without(&BTreeSet::from([Actions])), only(&[Contents]));
}

#[test]
fn a_repository_is_what_a_path_names() {
    assert_eq!(repository("https://h/api/v3/repos/o/r/dispatches"), Some(("o", "r")));
    assert_eq!(repository("https://h/repos/o/r?x"), Some(("o", "r")));
    for url in ["https://h/repos/o", "https://h/repos//r/x", "https://h/user", "https://h"] {
        assert_eq!(repository(url), None, "{url}");
    }
}

#[test]
fn a_request_for_a_token_names_permissions_and_repository() {
    let narrow = only(&[Permission::Contents, Permission::Actions]);
    let permissions = json!({"actions": "write", "contents": "write"});
    assert_eq!(token_request(&narrow, None), json!({ "permissions": permissions }));
    let one = json!({"permissions": permissions, "repositories": ["r"]});
    assert_eq!(token_request(&narrow, Some("r")), one);
    assert_eq!(token_request(&Scope::All, None), json!({}));
    assert_eq!(token_request(&Scope::All, Some("r")), json!({"repositories": ["r"]}));
}

#[test]
fn what_an_installation_lacks() {
    let narrow = only(&[Permission::Contents, Permission::Actions, Permission::Statuses]);
    let granted = json!({"contents": "write", "actions": "read", "metadata": "read"});
    let missing = narrow.missing(granted.as_object().unwrap());
    assert_eq!(missing, BTreeSet::from([Permission::Actions, Permission::Statuses]));
    assert!(Scope::All.missing(granted.as_object().unwrap()).is_empty());
}

#[test]
fn a_token_is_renewed_before_its_end() {
    for (left, state) in [
        (3_600, TokenState::Fresh),
        (301, TokenState::Fresh),
        (300, TokenState::Due),
        (91, TokenState::Due),
        (90, TokenState::Over),
        (0, TokenState::Over),
    ] {
        assert_eq!(token_state(Duration::from_secs(left)), state, "{left}");
    }
}

fn answered(status: u16, body: &Value) -> Result<AppToken, Denied> {
    read_token(status, &HeaderMap::new(), body.to_string().as_bytes(), now())
}

#[test]
fn a_token_lives_as_long_as_the_answer_says_by_github_s_clock() {
    let body = json!({"token": "ghs_a.b_c-d", "expires_at": "2026-11-29T13:00:00Z"});
    let token = answered(201, &body).unwrap();
    assert_eq!(token.token.expose_secret(), "ghs_a.b_c-d");
    assert_eq!(token.lives, Duration::from_hours(1));
    let mut headers = HeaderMap::new();
    headers.insert("date", "Sun, 29 Nov 2026 12:50:00 GMT".parse().unwrap());
    let token = read_token(201, &headers, body.to_string().as_bytes(), now()).unwrap();
    assert_eq!(token.lives, Duration::from_mins(10));
    let for_ever = json!({"token": "a", "expires_at": "2036-11-29T13:00:00Z"});
    assert_eq!(answered(201, &for_ever).unwrap().lives, Duration::from_hours(1));
    let over = json!({"token": "a", "expires_at": "2026-11-29T11:00:00Z"});
    assert_eq!(answered(201, &over).unwrap().lives, Duration::ZERO);
}

#[test]
fn an_answer_without_a_usable_token_is_github_s_fault() {
    let at = "2026-11-29T13:00:00Z";
    for body in [
        json!({}),
        json!({"token": "", "expires_at": at}),
        json!({"token": "a b", "expires_at": at}),
        json!({"token": "a\nb", "expires_at": at}),
        json!({"token": "a".repeat(10_000), "expires_at": at}),
        json!({"token": "a"}),
        json!({"token": "a", "expires_at": "soon"}),
        json!("a"),
    ] {
        let denied = answered(201, &body).unwrap_err();
        assert_eq!(denied.answer, GithubAnswer::ServerError, "{body}");
    }
    let page = read_token(200, &HeaderMap::new(), b"<html>", now()).unwrap_err();
    assert_eq!(page.answer, GithubAnswer::ServerError);
}

#[test]
fn refusals_are_the_credential_s_the_permission_s_or_github_s() {
    let suspended = "This installation has been suspended";
    let refused = GithubAnswer::TokenRefused;
    for (status, message, answer, is_too_much) in [
        (401, "A JSON web token could not be decoded", refused, false),
        (404, "Not Found", refused, false),
        (403, suspended, GithubAnswer::TokenForbidden(TokenForbidden::Suspended), false),
        (403, "Resource not accessible by integration", GithubAnswer::PermissionDenied, false),
        (422, "The permissions requested are not granted", GithubAnswer::PermissionDenied, true),
        (400, "Problems parsing JSON", refused, false),
        (301, "Moved Permanently", refused, false),
        (429, "", GithubAnswer::RateLimited { wait: None }, false),
        (403, "secondary rate limit", GithubAnswer::RateLimited { wait: None }, false),
        (500, "", GithubAnswer::ServerError, false),
        (503, "", GithubAnswer::ServerError, false),
    ] {
        let denied = answered(status, &json!({ "message": message })).unwrap_err();
        assert_eq!((denied.answer, denied.is_too_much), (answer, is_too_much), "{status}");
        assert!(denied.why.contains(&status.to_string()) && denied.why.contains(message));
    }
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "7".parse().unwrap());
    let denied = read_token(503, &headers, b"", now()).unwrap_err();
    assert_eq!(denied.wait, Some(Duration::from_secs(7)));
    assert_eq!(denied.why, "GitHub answered 503");
}

#[test]
fn an_installation_is_found_with_its_permissions() {
    let read = |status, body: &Value| {
        read_installation(status, &HeaderMap::new(), body.to_string().as_bytes(), now())
    };
    let found = read(200, &json!({"id": 7, "permissions": {"contents": "write"}})).unwrap();
    assert_eq!((found.id, found.permissions.len()), (7, 1));
    assert_eq!(read(200, &json!({"id": 7})).unwrap().permissions.len(), 0);
    assert_eq!(read(200, &json!({})).unwrap_err().answer, GithubAnswer::ServerError);
    assert_eq!(read(404, &json!({})).unwrap_err().answer, GithubAnswer::TokenRefused);
}
