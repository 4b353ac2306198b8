use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::{LaneError, LanePlace, LaneRule, LaneRules, glob_matches};
use crate::{Body, BodyMode, LaneLimits, Rate, RequestTemplate};

fn request(url: &str, headers: &[(&str, &str)]) -> RequestTemplate {
    RequestTemplate {
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: None,
        body_mode: BodyMode::Json,
        username: None,
        password: None,
    }
}

/// Shows what was hashed; the real one is keyed.
fn shown(text: &str) -> String {
    format!("<{text}>")
}

fn name(request: &RequestTemplate) -> String {
    LaneRules::default().lane(request, &shown).unwrap().lane
}

fn bearer(token: &str) -> RequestTemplate {
    request("https://h/", &[("authorization", &format!("Bearer {token}"))])
}

#[test]
fn the_host_is_part_of_the_name() {
    let table = [
        ("https://api.github.com/repos/o/r/dispatches", "api.github.com/none"),
        ("https://API.github.com:443/", "api.github.com/none"),
        ("https://api.github.com:8443/", "api.github.com:8443/none"),
        ("http://example.org:80/", "example.org/none"),
        ("http://example.org:443/", "example.org:443/none"),
        ("http://127.0.0.1:9000/x", "127.0.0.1:9000/none"),
        ("https://[::1]:8443/", "[::1]:8443/none"),
        ("https://h/${pactbroker.consumerName}?c=${pactbroker.consumerName}", "h/none"),
        ("https://h?x=${unknown}", "h/none"),
    ];
    for (url, expected) in table {
        assert_eq!(name(&request(url, &[])), expected, "{url}");
    }
}

#[test]
fn the_first_secret_names_the_credential() {
    let mut full = request(
        "https://h/?t=${user.url}",
        &[("x-key", "${user.header}"), ("Authorization", "Bearer ${user.auth}")],
    );
    full.username = Some("${user.name}".to_owned());
    full.password = Some("${user.password}".to_owned());
    full.body = Some(Body::Json(json!({"a": [1, {"${user.key}": "${user.body}"}]})));

    assert_eq!(name(&full), "h/auth");
    full.headers.retain(|(name, _)| name != "Authorization");
    assert_eq!(name(&full), "h/password");
    full.password = None;
    assert_eq!(name(&full), "h/name");
    full.username = None;
    assert_eq!(name(&full), "h/header");
    full.headers.clear();
    assert_eq!(name(&full), "h/key");
    full.body = Some(Body::Text("x=${user.text}".to_owned()));
    assert_eq!(name(&full), "h/text");
    full.body = None;
    assert_eq!(name(&full), "h/url");
}

#[test]
fn credentials_written_out_are_hashed() {
    let mut basic = request("https://h/", &[("authorization", "Bearer inline")]);
    basic.username = Some("u".to_owned());
    basic.password = Some("p".to_owned());
    assert_eq!(name(&basic), "h/basic-<u:p>");

    assert_eq!(name(&bearer("abc")), "h/inline-<abc>");
    let github_form = request("https://h/", &[("authorization", "token abc")]);
    assert_eq!(name(&github_form), "h/inline-<abc>", "the same token, the same fate");
    let other_scheme = request("https://h/", &[("authorization", "Digest a b")]);
    assert_eq!(name(&other_scheme), "h/inline-<Digest a b>");
    assert_eq!(name(&request("https://h/", &[("x-auth-token", "abc")])), "h/inline-<abc>");
    assert_eq!(name(&request("https://h/", &[("x-other", "abc")])), "h/none");
    assert_eq!(name(&request("https://h/", &[("authorization", " ")])), "h/none");
    assert_eq!(name(&request("https://u:p@h/", &[])), "h/basic-<u:p>");
}

#[test]
fn credentials_of_urls_and_more_headers_tell_lanes_apart() {
    for (url, expected) in [
        ("https://h/hooks/111?token=aaa", "h/inline-<aaa>"),
        ("https://h/x?a=b&SIG=c%2Fd&key=e#f", "h/inline-<c%2Fd>"),
        ("https://h/x?circle-token=aaa", "h/inline-<aaa>"),
        ("https://h/x?token=${pactbroker.buildUrl}&key=k", "h/inline-<k>"),
        ("https://h/x?token=&tokens=a", "h/none"),
        ("https://h/x?token=${user.t}", "h/t"),
        ("https://u:p@h/x?token=aaa", "h/basic-<u:p>"),
        ("https://${pactbroker.consumerName}:${pactbroker.buildUrl}@h/", "h/none"),
        ("https://${pactbroker.consumerName}:p@h/", "h/basic-<${pactbroker.consumerName}:p>"),
        ("https://token@h/", "h/basic-<token:>"),
    ] {
        assert_eq!(name(&request(url, &[])), expected, "{url}");
    }
    for header in ["X-Api-Key", "apikey", "X-Hub-Secret"] {
        assert_eq!(name(&request("https://h/?key=k", &[(header, "abc")])), "h/inline-<abc>");
    }
    let mut both = request("https://u:p@h/", &[("authorization", "Bearer abc")]);
    assert_eq!(name(&both), "h/basic-<u:p>", "user information comes before headers");
    both.password = Some("${pactbroker.buildUrl}".to_owned());
    both.url = "https://h/".to_owned();
    assert_eq!(name(&both), "h/inline-<abc>");
}

#[test]
fn a_filtered_secret_names_its_lane() {
    assert_eq!(name(&bearer("${user.t|base64}")), "h/t");
}

#[test]
fn a_secret_wins_over_what_is_written_out() {
    let mut mixed = request("https://h/", &[("authorization", "Bearer abc")]);
    mixed.body = Some(Body::Text("${user.t}".to_owned()));
    assert_eq!(name(&mixed), "h/t");
}

#[test]
fn the_lane_must_not_depend_on_the_event() {
    let lane = |url: &str| LaneRules::default().lane(&request(url, &[]), &shown).map(|_| ());
    for url in ["https://${pactbroker.consumerName}/", "https://x.${user.h}.org/"] {
        assert_eq!(lane(url), Err(LaneError::PlaceholderInHost), "{url}");
    }
    assert_eq!(lane("mailto:a@b"), Err(LaneError::NoHost));
    for url in ["", "/x", "https://", "https://h:${user.port}/"] {
        assert!(matches!(lane(url), Err(LaneError::InvalidUrl(_))), "{url}");
    }
}

#[test]
fn errors_never_show_the_url() {
    let request = request("https://user:hunter2@h:port/?token=hunter2", &[]);
    let error = LaneRules::default().lane(&request, &shown).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn github_hosts_have_github_limits() {
    let rules = LaneRules::default();
    for (lane, expected) in [
        ("api.github.com/githubToken", LaneLimits::GITHUB),
        ("api.acme.ghe.com/none", LaneLimits::GITHUB),
        ("api.acme.ghe.com:8443/none", LaneLimits::GITHUB),
        ("ghes.example/githubToken", LaneLimits::OTHER),
        ("api.github.com.evil.org/x", LaneLimits::OTHER),
        ("a name of old", LaneLimits::OTHER),
    ] {
        assert_eq!(rules.limits_for(lane), expected, "{lane}");
    }
    let dispatch = request("https://api.github.com/repos/o/r/dispatches", &[]);
    assert_eq!(rules.lane(&dispatch, &shown).unwrap().limits, LaneLimits::GITHUB);
}

fn rules(overrides: Vec<LaneRule>) -> LaneRules {
    LaneRules { overrides, ..LaneRules::default() }
}

fn rule(globs: &[&str]) -> LaneRule {
    LaneRule {
        matches: globs.iter().map(|glob| (*glob).to_owned()).collect(),
        ..LaneRule::default()
    }
}

#[test]
fn the_first_exception_that_matches_counts() {
    let tighter: Rate = "30/min".parse().unwrap();
    let rules = rules(vec![
        LaneRule { per_hour: Some(400), concurrency: Some(0), ..rule(&["api.github.com/slow"]) },
        LaneRule { rate: Some(tighter), burst: Some(0), ..rule(&["x/y", "*/s*w"]) },
    ]);
    let first = rules.limits_for("api.github.com/slow");
    assert_eq!(first, LaneLimits { per_hour: Some(400), ..LaneLimits::GITHUB });
    let second = rules.limits_for("example.org/slow");
    assert_eq!(second, LaneLimits { rate: tighter, burst: 1, ..LaneLimits::OTHER });
    assert_eq!(rules.limits_for("example.org/fast"), LaneLimits::OTHER);
}

#[test]
fn an_exception_joins_limits_and_not_lanes() {
    let rules = rules(vec![LaneRule {
        name: Some("machine-user".to_owned()),
        burst: Some(2),
        ..rule(&["api.github.com/tokenA", "example.org/tokenA"])
    }]);
    let expected = LaneLimits { burst: 2, ..LaneLimits::GITHUB };
    for host in ["api.github.com", "example.org"] {
        let url = format!("https://{host}/x");
        let request = request(&url, &[("authorization", "Bearer ${user.tokenA}")]);
        let place = rules.lane(&request, &shown).unwrap();
        let lane = format!("{host}/tokenA");
        assert_eq!(place, LanePlace { lane, limit: "machine-user".to_owned(), limits: expected });
    }
    let own = rules.limit_of("api.github.com/tokenB");
    assert_eq!(own, ("api.github.com/tokenB".to_owned(), LaneLimits::GITHUB));
}

#[test]
fn a_lane_named_as_a_joined_limit_has_that_limit() {
    let rules = rules(vec![LaneRule {
        name: Some("h/a".to_owned()),
        concurrency: Some(3),
        ..rule(&["h/b", "h/c"])
    }]);
    let joined = ("h/a".to_owned(), LaneLimits { concurrency: 3, ..LaneLimits::OTHER });
    for lane in ["h/a", "h/b", "h/c"] {
        assert_eq!(rules.limit_of(lane), joined, "{lane}");
    }
}

#[test]
fn a_joined_limit_that_may_be_at_github_has_its_defaults() {
    for (glob, expected) in [
        ("api.github.com/*", LaneLimits::GITHUB),
        ("*/bot", LaneLimits::GITHUB),
        ("*", LaneLimits::GITHUB),
        ("api.acme.ghe.com/bot", LaneLimits::GITHUB),
        ("ghes.example/*", LaneLimits::OTHER),
    ] {
        let rules = rules(vec![LaneRule { name: Some("one".to_owned()), ..rule(&[glob]) }]);
        assert_eq!(rules.limits_for("one"), expected, "{glob}");
    }
}

#[test]
fn limits_give_the_pace() {
    assert_eq!(LaneLimits::GITHUB.interval(), Some(Duration::from_millis(61_005) / 75));
    assert_eq!(LaneLimits::OTHER.interval(), None);
    assert!(LaneLimits::GITHUB.is_limited() && !LaneLimits::OTHER.is_limited());
}

#[test]
fn globs() {
    for (glob, text, expected) in [
        ("a/b", "a/b", true),
        ("a/b", "a/bc", false),
        ("*", "a/b", true),
        ("a*", "a", true),
        ("a*a", "a", false),
        ("*.org/*", "x.org/y", true),
        ("*.org/*", "x.orgy", false),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-c", false),
        ("a*b", "a-b-c", false),
        ("*bot", "x/robot/y", false),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(glob_matches(glob, text), expected, "{glob} {text}");
    }
}

proptest! {
    #[test]
    fn any_url_is_survived_and_the_name_holds_no_credential(
        url in "https?://(h|\\$\\{user\\.x\\}|:|@|/|\\?|[a-z]){1,12}",
        token in "[a-f]{30,40}",
    ) {
        let request = request(&url, &[("authorization", &token)]);
        if let Ok(place) = LaneRules::default().lane(&request, &|_| "01234567".to_owned()) {
            prop_assert!(!place.lane.contains(&token));
            prop_assert_eq!(place.lane.matches('/').count(), 1);
        }
    }
}
