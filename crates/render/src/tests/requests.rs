//! Method, URL and headers.

use postrider_domain::RequestTemplate;

use super::{
    DELIVERY, USER_AGENT, event, header_of, rendered, rendered_with, request, with_header, with_url,
};
use crate::{CompiledRequest, Place, RenderError, Variables};

#[test]
fn values_in_urls_are_form_encoded() {
    let mut event = event();
    event.consumer.branch = "a b/c+d~e&f=g?h#i%j*é\u{1f600}\"\n".into();
    let branch = "${pactbroker.consumerVersionBranch}";
    let request = with_url(&format!("https://h/{branch}/x?q={branch}#f"));
    let encoded = "a+b%2Fc%2Bd~e%26f%3Dg%3Fh%23i%25j%2A%C3%A9%F0%9F%98%80%22%0A";
    let sent = rendered_with(&request, &event, &[]).unwrap();
    assert_eq!(sent.url.as_str(), format!("https://h/{encoded}/x?q={encoded}"));
}

#[test]
fn secrets_can_stand_in_urls() {
    let request = with_url("https://h/services/${user.token}?t=${user.token}");
    let sent = rendered_with(&request, &event(), &[("token", "a/b c")]).unwrap();
    assert_eq!(sent.url.as_str(), "https://h/services/a%2Fb+c?t=a%2Fb+c");
}

#[test]
fn unknown_variables_stay_in_urls() {
    let sent = rendered(&with_url("https://h/x?a=${pactbroker.foo}")).unwrap();
    assert_eq!(sent.url.query_pairs().next().unwrap().1, "${pactbroker.foo}");
}

#[test]
fn variables_cannot_choose_the_target() {
    for url in [
        "https://${pactbroker.consumerName}/x",
        "https://api.${user.token}.org/x",
        "${user.token}://h/x",
        "https:${user.token}//h/x",
        "https:/${user.token}/x",
        "https://h${pactbroker.consumerVersionTags}",
    ] {
        assert_eq!(rendered(&with_url(url)), Err(RenderError::VariableInHost), "{url}");
    }
    for url in ["https://h:${user.token}/x", "not a url", "/x", ""] {
        let refused = rendered(&with_url(url));
        assert!(matches!(refused, Err(RenderError::InvalidUrl { .. })), "{url}: {refused:?}");
    }
    assert_eq!(rendered(&with_url("mailto:x@h")), Err(RenderError::NotHttp));
    assert_eq!(rendered(&with_url("ftp://h/")), Err(RenderError::NotHttp));
}

#[test]
fn dots_cannot_leave_a_path() {
    let template = with_url("https://h/repos/${pactbroker.providerName}/dispatches?x");
    for (name, expected) in [
        ("..", Err(RenderError::DotSegment)),
        (".", Err(RenderError::DotSegment)),
        ("../..", Ok("https://h/repos/..%2F../dispatches?x")),
        ("...", Ok("https://h/repos/.../dispatches?x")),
        ("", Ok("https://h/repos//dispatches?x")),
    ] {
        let mut event = event();
        event.provider.name = name.into();
        let sent = rendered_with(&template, &event, &[]).map(|sent| sent.url.to_string());
        assert_eq!(sent, expected.map(str::to_owned), "{name}");
    }
}

#[test]
fn methods_are_upper_cased() {
    assert_eq!(rendered(&request()).unwrap().method, http::Method::POST);
    let bad = RequestTemplate { method: "PO ST".into(), ..request() };
    assert_eq!(rendered(&bad), Err(RenderError::InvalidMethod));
}

#[test]
fn some_headers_are_always_sent() {
    let plain = rendered(&request()).unwrap();
    assert_eq!(header_of(&plain, "accept"), "*/*");
    assert_eq!(header_of(&plain, "user-agent"), USER_AGENT);
    assert_eq!(plain.headers.len(), 2);

    let own = rendered(&with_header("user-agent", "PactFlow")).unwrap();
    assert_eq!(header_of(&own, "user-agent"), "PactFlow");
    let empty = rendered(&with_header("User-Agent", "")).unwrap();
    assert_eq!(header_of(&empty, "user-agent"), USER_AGENT);
    let accept = rendered(&with_header("Accept", "text/plain")).unwrap();
    assert_eq!(header_of(&accept, "accept"), "text/plain");
}

#[test]
fn framing_is_not_the_webhooks_business() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "connection",
        "accept-encoding",
        "keep-alive",
        "proxy-authorization",
    ] {
        let sent = rendered(&with_header(name, "1")).unwrap();
        assert!(!sent.headers.contains_key(name), "{name}");
    }
}

#[test]
fn header_values_take_any_text_but_control_characters() {
    let template = with_header("x-branch", "<${pactbroker.consumerVersionBranch}>");
    let mut event = event();
    event.consumer.branch = "é \"${user.token}\"".into();
    let sent = rendered_with(&template, &event, &[]).unwrap();
    let bytes = sent.headers.get("x-branch").unwrap().as_bytes();
    assert_eq!(bytes, "<é \"${user.token}\">".as_bytes());

    for control in ["a\r\nx-evil: 1", "\n", "\0", "\t", "\u{7f}", "\u{85}"] {
        event.consumer.branch = control.into();
        let refused = rendered_with(&template, &event, &[]);
        let header = "x-branch".to_owned();
        assert_eq!(refused, Err(RenderError::ControlCharacter { header }), "{control:?}");
    }
    let fixed = rendered(&with_header("X-Fixed", "a\nb"));
    assert_eq!(fixed, Err(RenderError::ControlCharacter { header: "x-fixed".into() }));
}

#[test]
fn header_names_are_lower_cased_and_checked() {
    let mut template = with_header("X-One", "1");
    template.headers.push(("no good".into(), "2".into()));
    assert_eq!(rendered(&template), Err(RenderError::InvalidHeaderName { position: 2 }));
    template.headers.pop();
    template.headers.push(("x-one".into(), "2".into()));
    assert_eq!(header_of(&rendered(&template).unwrap(), "x-one"), "2");
}

#[test]
fn sensitive_headers_are_marked() {
    let mut template = with_header("authorization", "Bearer ${user.token}");
    template.headers.push(("x-gitlab-token".into(), "inline".into()));
    template.headers.push(("x-custom".into(), "key ${user.token}".into()));
    template.headers.push(("x-plain".into(), "${pactbroker.consumerName}".into()));
    let sent = rendered(&template).unwrap();
    assert_eq!(header_of(&sent, "authorization"), "Bearer s3cret-value");
    for (name, sensitive) in
        [("authorization", true), ("x-gitlab-token", true), ("x-custom", true), ("x-plain", false)]
    {
        assert_eq!(sent.headers.get(name).unwrap().is_sensitive(), sensitive, "{name}");
    }
}

#[test]
fn user_name_and_password_win_over_authorization() {
    let mut template = with_header("authorization", "Bearer x");
    template.username = Some("Zoo ${pactbroker.consumerVersionNumber}".into());
    template.password = Some("${user.token}".into());
    let sent = rendered(&template).unwrap();
    // base64 of "Zoo 1.2.3:s3cret-value"
    assert_eq!(header_of(&sent, "authorization"), "Basic Wm9vIDEuMi4zOnMzY3JldC12YWx1ZQ==");
    assert!(sent.headers.get("authorization").unwrap().is_sensitive());

    for username in [None, Some(String::new()), Some("${pactbroker.buildUrl}".into())] {
        let template = RequestTemplate { username, ..template.clone() };
        let mut event = event();
        event.build_url.clear();
        let sent = rendered_with(&template, &event, &[("token", "x")]).unwrap();
        assert_eq!(header_of(&sent, "authorization"), "Bearer x");
    }
}

#[test]
fn a_password_without_a_user_name_is_sent() {
    for username in [None, Some(String::new()), Some("${pactbroker.buildUrl}".into())] {
        let password = Some("${user.token}".into());
        let template = RequestTemplate { username, password, ..request() };
        let mut event = event();
        event.build_url.clear();
        let sent = rendered_with(&template, &event, &[("token", "p52")]).unwrap();
        assert_eq!(header_of(&sent, "authorization"), "Basic OnA1Mg==");
    }
}

#[test]
fn the_host_is_no_variables_to_choose() {
    let sent = rendered(&with_header("Host", "other.example")).unwrap();
    assert_eq!(header_of(&sent, "host"), "other.example");
    let variable = rendered(&with_header("Host", "${pactbroker.consumerName}"));
    assert_eq!(variable, Err(RenderError::VariableInHostHeader));
}

#[test]
fn user_info_of_the_url_becomes_basic_authentication() {
    let sent = rendered(&with_url("https://me:${user.token}@h/x")).unwrap();
    assert_eq!(sent.url.as_str(), "https://h/x");
    // base64 of "me:s3cret-value"
    assert_eq!(header_of(&sent, "authorization"), "Basic bWU6czNjcmV0LXZhbHVl");
    let own = RequestTemplate {
        headers: vec![("authorization".into(), "Bearer x".into())],
        ..with_url("https://me:pw@h/x")
    };
    assert_eq!(header_of(&rendered(&own).unwrap(), "authorization"), "Bearer x");
}

#[test]
fn missing_secrets_come_before_anything_else() {
    let broken = RequestTemplate {
        method: "NO METHOD".into(),
        url: "nonsense".into(),
        password: Some("${user.absent}".into()),
        ..with_header("bad name", "\n")
    };
    let missing = Err(RenderError::SecretMissing { name: "absent".into() });
    assert_eq!(rendered(&broken), missing);
    assert_eq!(rendered_with(&broken, &event(), &[("absent", "")]), missing);
    let found = rendered_with(&broken, &event(), &[("absent", "x")]);
    assert_eq!(found, Err(RenderError::InvalidMethod));
}

#[test]
fn urls_and_headers_are_bounded() {
    let mut event = event();
    event.consumer.branch = "x".repeat(70_000);
    let limit = 65_536;
    let branch = "${pactbroker.consumerVersionBranch}";
    let place = |request| rendered_with(&request, &event, &[]).unwrap_err();
    let bytes = 70_000;
    let header = Place::Header("x-a".into());
    assert_eq!(
        place(with_header("x-a", branch)),
        RenderError::TooLong { place: header, bytes, limit }
    );
    let url = place(with_url(&format!("https://h/{branch}")));
    assert_eq!(url, RenderError::TooLong { place: Place::Url, bytes: bytes + 10, limit });
    let auth = place(RequestTemplate { username: Some(branch.into()), ..request() });
    assert_eq!(auth, RenderError::TooLong { place: Place::BasicAuth, bytes, limit });
}

#[test]
fn a_compiled_request_can_be_used_again() {
    let compiled = CompiledRequest::compile(&with_url("https://h/${pactbroker.consumerName}"));
    for name in ["a", "b"] {
        let mut event = event();
        event.consumer.name = name.into();
        let vars = Variables { event: &event, event_name: "test", delivery_id: DELIVERY };
        let sent = compiled.render(&vars, &super::secrets(&[]), USER_AGENT).unwrap();
        assert_eq!(sent.url.path(), format!("/{name}"));
    }
}
