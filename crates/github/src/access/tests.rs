use http::HeaderValue;

use super::*;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn headers_tell_of_the_token() {
    let classic = token_facts(&headers(&[
        ("x-oauth-scopes", "repo, read:org,, "),
        ("github-authentication-token-expiration", "2026-12-01 14:34:04 UTC"),
    ]));
    assert_eq!(classic.scopes, Some(vec!["repo".to_owned(), "read:org".to_owned()]));
    assert_eq!(classic.expires_at, Some("2026-12-01T14:34:04Z".parse().unwrap()));
    assert_eq!(token_facts(&headers(&[("x-oauth-scopes", "")])).scopes, Some(Vec::new()));
    assert_eq!(token_facts(&HeaderMap::new()), TokenFacts::default());
}

#[test]
fn the_user_is_asked_for_at_the_same_origin() {
    for (request, expected) in [
        ("https://api.github.com/repos/o/r/dispatches?x=1", "https://api.github.com/user"),
        ("http://h:81/api/v3/repos/o/r/dispatches", "http://h:81/api/v3/user"),
    ] {
        assert_eq!(user_url(&Url::parse(request).unwrap()).as_str(), expected);
    }
    assert_eq!(read_user(200, br#"{"login":"pactflow-octo"}"#).as_deref(), Some("pactflow-octo"));
    for (status, body) in [(401, r#"{"login":"x"}"#), (200, "{}"), (200, "x"), (200, "[]")] {
        assert_eq!(read_user(status, body.as_bytes()), None, "{status} {body}");
    }
}

#[test]
fn repositories_are_read() {
    let sso = r#"{"message":"Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization."}"#;
    let table = [
        (200, r#"{"permissions":{"push":true}}"#, RepositoryAccess::Writable),
        (200, "{}", RepositoryAccess::Writable),
        (200, r#"{"permissions":{"push":false}}"#, RepositoryAccess::ReadOnly),
        (200, r#"{"archived":true,"permissions":{"push":true}}"#, RepositoryAccess::Archived),
        (200, "<html>", RepositoryAccess::Unknown),
        (301, "", RepositoryAccess::Moved),
        (401, r#"{"message":"Bad credentials"}"#, RepositoryAccess::Refused),
        (403, sso, RepositoryAccess::Forbidden),
        (
            403,
            r#"{"message":"Resource not accessible by integration"}"#,
            RepositoryAccess::Forbidden,
        ),
        (403, r#"{"message":"API rate limit exceeded"}"#, RepositoryAccess::Limited),
        (403, "<html>Forbidden</html>", RepositoryAccess::Unknown),
        (404, r#"{"message":"Not Found"}"#, RepositoryAccess::NotVisible),
        (500, "", RepositoryAccess::Unknown),
    ];
    for (status, body, expected) in table {
        let found = read_repository(status, &HeaderMap::new(), body.as_bytes(), now());
        assert_eq!(found, expected, "{status} {body}");
    }
}
