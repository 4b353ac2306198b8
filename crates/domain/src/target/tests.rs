use url::Url;

use super::{HostPatterns, Target, TargetKind};

#[test]
fn dispatches_are_known_by_their_path_on_any_host() {
    let table = [
        ("https://api.github.com/repos/o/r/dispatches", TargetKind::RepositoryDispatch),
        ("http://127.0.0.1:4321/repos/o/r/dispatches", TargetKind::RepositoryDispatch),
        ("https://ghes.example/api/v3/repos/o/r/dispatches", TargetKind::RepositoryDispatch),
        ("https://api.acme.ghe.com/repos/o/r/dispatches?x=1", TargetKind::RepositoryDispatch),
        (
            "https://api.github.com/repos/o/r/actions/workflows/ci.yml/dispatches",
            TargetKind::WorkflowDispatch,
        ),
        (
            "https://ghes.example/api/v3/repos/o/r/actions/workflows/1/dispatches",
            TargetKind::WorkflowDispatch,
        ),
        ("https://api.github.com/repos/o/r/dispatches/", TargetKind::Other),
        ("https://api.github.com/repos//r/dispatches", TargetKind::Other),
        ("https://api.github.com/x/repos/o/r/dispatches", TargetKind::Other),
        ("https://api.github.com/api/v4/repos/o/r/dispatches", TargetKind::Other),
        ("https://api.github.com/repos/o/r/issues", TargetKind::Other),
        ("https://api.github.com/repos/o/r/actions/runs/1/dispatches", TargetKind::Other),
        ("https://example.org/", TargetKind::Other),
        ("mailto:a@example.org", TargetKind::Other),
    ];
    for (url, expected) in table {
        assert_eq!(TargetKind::of(&Url::parse(url).unwrap()), expected, "{url}");
    }
}

#[test]
fn a_host_of_github_and_a_dispatch_anywhere_are_read_its_way() {
    let hosts: HostPatterns = "api.github.com".parse().unwrap();
    for (url, expected) in [
        ("https://api.github.com/anything", true),
        ("https://ghes.example/api/v3/repos/o/r/dispatches", true),
        ("https://example.org/hook", false),
    ] {
        let target = Target::of(&Url::parse(url).unwrap(), &hosts, true);
        assert_eq!(target.is_github(), expected, "{url}");
    }
}

#[test]
fn half_an_address_is_no_host() {
    for wrong in ["[::1", "::1]", "a..b", "a/b", "http://a"] {
        let error = wrong.parse::<HostPatterns>().unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
}

#[test]
fn a_star_is_exactly_one_label() {
    let hosts: HostPatterns = "api.github.com api.*.ghe.com, 127.0.0.1:80 [::1]".parse().unwrap();
    let table = [
        ("api.github.com", true),
        ("API.GitHub.com", true),
        ("api.github.com:8443", true),
        ("api.acme.ghe.com", true),
        ("api.ghe.com", false),
        ("api..ghe.com", false),
        ("api.a.b.ghe.com", false),
        ("xapi.github.com", false),
        ("api.github.com.evil.org", false),
        ("github.com", false),
        ("127.0.0.1:80", true),
        ("127.0.0.1:81", false),
        ("127.0.0.1", false),
        ("[::1]", true),
        ("[::1]:9000", true),
        ("[::2]", false),
        ("", false),
    ];
    for (host, expected) in table {
        assert_eq!(hosts.matches(host), expected, "{host:?}");
    }
}

#[test]
fn the_default_is_what_its_text_says() {
    assert_eq!("api.github.com api.*.ghe.com".parse(), Ok(HostPatterns::github()));
    assert_eq!(HostPatterns::github().to_string(), "api.github.com api.*.ghe.com");
}

#[test]
fn the_empty_list_matches_nothing() {
    assert!(!"".parse::<HostPatterns>().unwrap().matches("api.github.com"));
}

#[test]
fn errors_show_what_is_accepted() {
    for word in ["api*.github.com", "https://api.github.com", "a..b", "*.", "a/b"] {
        let error = word.parse::<HostPatterns>().unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("api.*.ghe.com"), "{error}");
    }
}
