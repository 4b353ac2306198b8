use http::HeaderValue;

use super::*;

fn tokens() -> Tokens {
    Tokens::parse(&"ingest:in-1, read:re-1\noperate:op-1 ingest:both,operate:both".into()).unwrap()
}

fn with(authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
    headers
}

fn access(authorization: &str, needed: Role) -> Access {
    tokens().check(&with(authorization), needed)
}

#[test]
fn roles_cover_what_they_are_for() {
    let expected = [
        ("in-1", [true, false, false]),
        ("re-1", [false, true, false]),
        ("op-1", [false, true, true]),
        ("both", [true, true, true]),
    ];
    for (token, granted) in expected {
        for (role, granted) in Role::ALL.into_iter().zip(granted) {
            let expected = if granted { Access::Granted } else { Access::WrongRole };
            assert_eq!(access(&format!("Bearer {token}"), role), expected, "{token} {role}");
        }
    }
}

#[test]
fn basic_password_with_any_user_name() {
    for user in ["", "anyone", "pact"] {
        let basic = STANDARD.encode(format!("{user}:re-1"));
        assert_eq!(access(&format!("basic {basic}"), Role::Read), Access::Granted);
    }
}

#[test]
fn what_is_no_token_is_unknown() {
    let nothing = HeaderMap::new();
    assert_eq!(tokens().check(&nothing, Role::Read), Access::Unknown);
    for bad in [
        "Bearer",
        "Bearer ",
        "Bearer re-2",
        "Bearer re-1x",
        "Basic !!!",
        "Basic cmUtMQ==",
        "Digest re-1",
    ] {
        assert_eq!(access(bad, Role::Read), Access::Unknown, "{bad}");
    }
}

#[test]
fn without_tokens_everything_is_open() {
    assert_eq!(Tokens::default().check(&HeaderMap::new(), Role::Operate), Access::Granted);
}

#[test]
fn bad_settings_are_named_without_the_token() {
    for (text, part) in [
        ("read:a s3cret", "token 2 has no role"),
        ("admin:s3cret", "token 1 has an unknown role"),
        ("read:", "a token of role read is empty"),
    ] {
        let error = Tokens::parse(&text.into()).unwrap_err();
        assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
    }
    assert!(!format!("{:?}", tokens()).contains("op-1"));
}

#[test]
fn needed_roles() {
    assert_eq!(Role::needed(&Method::POST, "/events"), Role::Ingest);
    assert_eq!(Role::needed(&Method::GET, "/webhooks"), Role::Read);
    assert_eq!(Role::needed(&Method::PUT, "/webhooks/x"), Role::Operate);
    assert_eq!(Role::needed(&Method::POST, "/api/v1/lanes/hold"), Role::Operate);
}
