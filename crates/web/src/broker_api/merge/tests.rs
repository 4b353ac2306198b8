use postrider_domain::BodyMode;

use super::*;

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn uuid() -> WebhookUuid {
    "d2181b32-8b03-4daf-8cc0-d9168b2f6fac".parse().unwrap()
}

fn draft() -> Draft {
    Draft {
        description: Member::Missing,
        consumer: None,
        provider: None,
        enabled: true,
        events: None,
        request: DraftRequest {
            method: "POST".to_owned(),
            url: "https://example.org/x".to_owned(),
            headers: Vec::new(),
            body: None,
            body_mode: BodyMode::Json,
            username: None,
            password: Member::Missing,
        },
        team_uuid: None,
        extensions: Member::Missing,
    }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn stored() -> Webhook {
    let mut first = draft();
    first.description = Member::Given("old".to_owned());
    first.events = Some(vec![EventName::ContractPublished]);
    first.team_uuid = Some("t".to_owned());
    first.request.url = "https://u:p@example.org/x".to_owned();
    first.request.headers = vec![pair("authorization", "Bearer s3cret"), pair("accept", "a")];
    first.request.username = Some("u".to_owned());
    first.request.password = Member::Given("pw".to_owned());
    apply(first, uuid(), None, "2026-11-01T00:00:00Z".parse().unwrap()).unwrap()
}

fn replaced(change: impl FnOnce(&mut Draft)) -> Webhook {
    let mut draft = draft();
    change(&mut draft);
    apply(draft, uuid(), Some(stored()), now()).unwrap()
}

#[test]
fn creation_has_defaults() {
    let webhook = apply(draft(), uuid(), None, now()).unwrap();
    assert_eq!(webhook.events, [EventName::ContractContentChanged]);
    assert_eq!((webhook.created_at, webhook.updated_at), (now(), now()));
    assert_eq!(webhook.request.password, None);
}

#[test]
fn creation_takes_stars_literally() {
    let mut draft = draft();
    draft.request.password = Member::Given("***".to_owned());
    draft.request.headers = vec![pair("x-token", "**")];
    let webhook = apply(draft, uuid(), None, now()).unwrap();
    assert_eq!(webhook.request.password.as_deref(), Some("***"));
    assert_eq!(webhook.request.headers, [pair("x-token", "**")]);
}

#[test]
fn what_is_not_mentioned_is_kept_or_cleared() {
    let webhook = replaced(|_| {});
    assert_eq!(webhook.description.as_deref(), Some("old"));
    assert_eq!(webhook.events, [EventName::ContractPublished]);
    assert_eq!(webhook.team_uuid, None);
    assert_eq!(webhook.request.username, None);
    assert!(webhook.request.headers.is_empty());
    assert_eq!(webhook.created_at, stored().created_at);
    assert_eq!(webhook.updated_at, now());
    assert_eq!(replaced(|draft| draft.description = Member::Null).description, None);
}

#[test]
fn passwords() {
    let password =
        |given: Member<String>| replaced(|draft| draft.request.password = given).request.password;
    assert_eq!(password(Member::Missing).as_deref(), Some("pw"));
    for starred in ["", "*", "**********", "************"] {
        assert_eq!(password(Member::Given(starred.to_owned())).as_deref(), Some("pw"));
    }
    assert_eq!(password(Member::Null), None);
    assert_eq!(password(Member::Given("new".to_owned())).as_deref(), Some("new"));
    assert_eq!(password(Member::Given("*a*".to_owned())).as_deref(), Some("*a*"));
}

#[test]
fn starred_headers() {
    let webhook = replaced(|draft| {
        draft.request.headers = vec![
            pair("authorization", "**********"),
            pair("accept", ""),
            pair("x-token", "*"),
            pair("x-new", "n"),
        ];
    });
    let expected =
        [pair("authorization", "Bearer s3cret"), pair("accept", "a"), pair("x-new", "n")];
    assert_eq!(webhook.request.headers, expected);
}

#[test]
fn starred_user_information() {
    let url = |given: &str| replaced(|draft| draft.request.url = given.to_owned()).request.url;
    assert_eq!(url("https://**********@example.org/x?y"), "https://u:p@example.org/x?y");
    assert_eq!(url("https://v:q@example.org/y"), "https://v:q@example.org/y");
    assert_eq!(url("https://example.org/y"), "https://example.org/y");
}

/// The fields that are refused when a document leads elsewhere.
fn refused(change: impl FnOnce(&mut DraftRequest)) -> Vec<String> {
    let mut draft = draft();
    draft.request.password = Member::Null;
    change(&mut draft.request);
    match apply(draft, uuid(), Some(stored()), now()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.faults().map(|fault| fault.key.clone()).collect(),
    }
}

#[test]
fn stars_go_nowhere_else() {
    for elsewhere in [
        "https://evil.example/x",
        "http://example.org/x",
        "https://example.org:8443/x",
        "https://example.org/y",
        "https://example.org@evil.example/x",
    ] {
        let to = |request: &mut DraftRequest| request.url = elsewhere.to_owned();
        assert_eq!(refused(to), [] as [String; 0], "nothing is starred");
        let header = refused(|request| {
            to(request);
            request.headers = vec![pair("Authorization", "**********"), pair("x-new", "***")];
        });
        assert_eq!(header, ["request.headers"], "{elsewhere}");
        let password = refused(|request| {
            to(request);
            request.password = Member::Given("**********".to_owned());
        });
        assert_eq!(password, ["request.password"], "{elsewhere}");
    }
    let info = refused(|request| request.url = "https://***@evil.example/x".to_owned());
    assert_eq!(info, ["request.url"]);
    let kept = |url: &str| {
        refused(|request| {
            request.url = url.to_owned();
            request.password = Member::Missing;
        })
    };
    assert_eq!(kept("https://evil.example/x"), ["request.password"]);
    assert_eq!(kept("https://EXAMPLE.org/y"), [] as [String; 0]);
}

#[test]
fn starred_parameters_and_tokens_are_kept() {
    let mut first = draft();
    first.request.url = "https://h/x?a=1&sig=s3cret&b=2#f".to_owned();
    first.request.username = Some("ghp_0123456789abcdef0123".to_owned());
    let stored = apply(first, uuid(), None, now()).unwrap();
    let mut second = draft();
    second.request.url = "https://h/x?sig=**********&a=*&new=***".to_owned();
    second.request.username = Some("**********".to_owned());
    let webhook = apply(second.clone(), uuid(), Some(stored.clone()), now()).unwrap();
    assert_eq!(webhook.request.url, "https://h/x?sig=s3cret&a=1&new=***");
    assert_eq!(webhook.request.username, stored.request.username);
    second.request.url = "https://h/y?sig=**********".to_owned();
    let refused = apply(second, uuid(), Some(stored), now()).unwrap_err();
    let keys: Vec<&str> = refused.faults().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["request.url", "request.username"]);
}

#[test]
fn stars_stand_for_the_parameter_at_their_place() {
    let url = |before: &str, then: &str| {
        let mut first = draft();
        first.request.url = format!("https://h/x?{before}");
        let old = apply(first, uuid(), None, now()).unwrap();
        let mut second = draft();
        second.request.url = format!("https://h/x?{then}");
        apply(second, uuid(), Some(old), now()).unwrap().request.url
    };
    for (before, then, expected) in [
        ("token=S", "?x=token=***&token=***", "?x=token=***&token=S"),
        ("token=S", "a.token=***&token=***", "a.token=***&token=S"),
        ("token=1&token=2", "token=***&token=***", "token=1&token=2"),
        ("token=1&token=2", "token=new&token=***#f", "token=new&token=2#f"),
        // There is no third one.
        ("token=1&token=2", "token=***&token=***&token=***", "token=1&token=2&token=***"),
        ("token=S", "token&token=***", "token&token=S"),
    ] {
        assert_eq!(url(before, then), format!("https://h/x?{expected}"), "{before} {then}");
    }
}

#[test]
fn a_user_name_that_is_a_token_stays_hidden() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef0123";
    let with = |stored: Member<String>, then: Member<String>| {
        let mut first = draft();
        first.request.username = Some(TOKEN.to_owned());
        first.request.password = stored;
        let old = apply(first, uuid(), None, now()).unwrap();
        let mut second = draft();
        second.request.username = Some("**********".to_owned());
        second.request.password = then;
        apply(second, uuid(), Some(old), now()).map(|webhook| webhook.request.username)
    };
    let given = |text: &str| Member::Given(text.to_owned());
    for (stored, then) in [
        (Member::Missing, given("foo")),
        (given("x-oauth-basic"), given("foo")),
        (given("x"), given("foo")),
    ] {
        let refused = with(stored, then).unwrap_err();
        assert_eq!(
            refused.faults().map(|fault| fault.key.clone()).collect::<Vec<_>>(),
            ["request.username"]
        );
    }
    for (stored, then) in [
        (Member::Missing, Member::Missing),
        (Member::Missing, given("x")),
        (given("x-oauth-basic"), Member::Missing),
        (given("x-oauth-basic"), given("**********")),
        (given("x-oauth-basic"), Member::Null),
    ] {
        assert_eq!(with(stored, then).unwrap().as_deref(), Some(TOKEN));
    }
}
