//! Variables of proxies.

use super::given::{env, shown};

#[test]
fn proxies_count_in_either_case_and_the_lower_one_wins() {
    let settings = env(&[
        ("HTTPS_PROXY", "http://u:hunter2@upper:1"),
        ("https_proxy", "http://u:hunter2@lower:2"),
        ("HTTP_PROXY", "http://upper:3"),
        ("all_proxy", " "),
        ("NO_PROXY", "a.example"),
        ("no_proxy", "b.example"),
    ])
    .settings();
    let route = |url: &str| {
        let url = url.parse().unwrap();
        settings.proxies.route(&url).map(|proxy| format!("{proxy:?}"))
    };
    assert_eq!(route("https://h/").as_deref(), Some("Proxy(http://lower:2)"));
    assert_eq!(route("http://h/").as_deref(), Some("Proxy(http://upper:3)"));
    assert_eq!(route("https://b.example/"), None);
    assert!(route("https://a.example/").is_some());
    let lower = (Some("http://u:***@lower:2/".to_owned()), "environment https_proxy".to_owned());
    assert_eq!(shown(&settings, "https_proxy"), lower);
    assert_eq!(shown(&settings, "ALL_PROXY"), (None, "default".to_owned()));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn proxies_that_can_not_be_used_are_refused() {
    let problems = env(&[
        ("HTTPS_PROXY", "socks5://u:hunter2@h:1"),
        ("http_proxy", "http://u:hunter2@h:port"),
    ])
    .problems();
    insta::assert_snapshot!(problems.join("\n"), @r"
    error: http_proxy (environment): is not a URL: invalid port number; fix: write http://host:port or https://host:port, with user:password@ before the host if it wants them
    error: HTTPS_PROXY (environment): is a socks5 proxy, which is not supported; fix: write http://host:port or https://host:port, with user:password@ before the host if it wants them
    ");
}
