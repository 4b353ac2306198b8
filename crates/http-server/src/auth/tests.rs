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
        ("op-1", [true, true, true]),
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
        ("read:", "token 1, of role read, is empty"),
        ("admin:s3cret read:", "before the colon; token 2, of role read, is empty"),
        ("read:s3cret:", "token 1, named s3cret, is too short"),
        ("read:ci:s3crets3cret", "token 1, named ci, is too short"),
        ("operate:s3cret.x:0123456789abcdef", "write role:name:token"),
        ("operate:1ci:0123456789abcdef", "write role:name:token"),
        ("operate:ci:0123456789abcdef:s3cret", "write role:name:token"),
        ("read:a:0123456789abcdef,read:b:0123456789abcdef", "token 2 stands under two names"),
        ("read:0123456789abcdef,read:b:0123456789abcdef", "two names, no name and b"),
    ] {
        let error = Tokens::parse(&text.into()).unwrap_err();
        assert!(error.contains(part) && !error.contains("0123456789"), "{error}");
        assert!(!error.contains("s3cret") || part.contains("s3cret"), "{error}");
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

const OLD: &str = "0123456789abcdef";
const NEW: &str = "fedcba9876543210";

fn named() -> Tokens {
    let text = format!("operate:ci:{OLD} ingest:ci:{NEW} read:{OLD}x read:short operate:short");
    Tokens::parse(&text.into()).unwrap()
}

#[test]
fn tokens_of_one_name_have_all_its_roles() {
    for (token, role) in
        [OLD, NEW].into_iter().flat_map(|token| Role::ALL.map(|role| (token, role)))
    {
        let found = named().check(&with(&format!("Bearer {token}")), role);
        assert_eq!(found, Access::Granted, "{token} {role}");
    }
    let roles = "read:a:0123456789abcdef ingest:b:fedcba9876543210";
    let tokens = Tokens::parse(&roles.into()).unwrap();
    let found = tokens.check(&with("Bearer 0123456789abcdef"), Role::Ingest);
    assert_eq!(found, Access::WrongRole, "another name's role is not its own");
}

#[test]
fn whoever_calls_has_a_name() {
    let who = |authorization: &str| {
        named().who(&with(authorization), |token| format!("{:08x}", token.len()))
    };
    assert_eq!(who(&format!("Bearer {OLD}")), "ci");
    assert_eq!(who(&format!("Basic {}", STANDARD.encode(format!("anyone:{NEW}")))), "ci");
    assert_eq!(who(&format!("Bearer {OLD}x")), "read#000000");
    assert_eq!(who("Bearer short"), "operate#000000", "by the role that does most");
    assert_eq!(Tokens::default().who(&HeaderMap::new(), str::to_owned), "local");
}

#[test]
fn short_tokens_without_a_name_are_counted() {
    assert_eq!(named().short(), 2);
    assert_eq!(Tokens::parse(&format!("read:{OLD}").into()).unwrap().short(), 0);
}
