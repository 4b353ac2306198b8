use super::*;

fn app(api_url: Option<&str>) -> Result<GithubApp, InvalidGithubApp> {
    GithubApp::new("12", None, None, false, api_url)
}

#[test]
fn an_app_is_at_github_unless_told_otherwise() {
    assert_eq!(app(None).unwrap().api_url, "https://api.github.com");
    let enterprise = app(Some("https://github.example.com/api/v3/")).unwrap();
    assert_eq!(enterprise.api_url, "https://github.example.com/api/v3");
    assert!(GithubApp::new("Iv1.8a61f9b3a7aba766", Some(7), None, true, None).is_ok());
    assert!(GithubApp::new("12", None, Some("acme-corp"), false, None).is_ok());
}

#[test]
fn what_is_no_app_is_named() {
    let long = "a".repeat(LONGEST_NAME + 1);
    for (member, found) in [
        ("app_id", GithubApp::new("", None, None, false, None)),
        ("app_id", GithubApp::new("12\n", None, None, false, None)),
        ("app_id", GithubApp::new(&long, None, None, false, None)),
        ("owner", GithubApp::new("12", None, Some("a/b"), false, None)),
        ("owner", GithubApp::new("12", Some(1), Some("a"), false, None)),
        ("installation_id", GithubApp::new("12", Some(0), None, false, None)),
        ("api_url", app(Some("github.example.com"))),
        ("api_url", app(Some("ftp://github.example.com"))),
        ("api_url", app(Some("https://a:b@github.example.com"))),
        ("api_url", app(Some("https://github.example.com/?a=b"))),
    ] {
        assert_eq!(found.unwrap_err().member, member);
    }
}

#[test]
fn an_app_is_read_as_it_was_written() {
    for app in [
        app(None).unwrap(),
        GithubApp::new("12", Some(7), None, true, None).unwrap(),
        GithubApp::new("12", None, Some("acme"), false, Some("https://x.example")).unwrap(),
    ] {
        let text = serde_json::to_string(&app).unwrap();
        assert_eq!(serde_json::from_str::<GithubApp>(&text).unwrap(), app, "{text}");
    }
}

#[test]
fn tokens_go_to_github_over_https() {
    let hosts: HostPatterns = "api.github.com 127.0.0.1:8080".parse().unwrap();
    let judge = |schemes: &[&str], url: &str| {
        let schemes: Vec<String> = schemes.iter().map(|&scheme| scheme.to_owned()).collect();
        AppTargets { github_hosts: &hosts, schemes: &schemes }.check(url)
    };
    let dispatches = "https://api.github.com/repos/o/${pactbroker.providerName}/dispatches";
    assert_eq!(judge(&["https"], dispatches), Ok(()));
    assert_eq!(judge(&["https", "HTTP"], "http://127.0.0.1:8080/x"), Ok(()));
    let over_http = judge(&["https", "http"], "http://api.github.com/x").unwrap_err();
    assert!(over_http.contains("https only"), "{over_http}");
    for (url, word) in [
        ("http://api.github.com/repos/o/r/dispatches", "https only"),
        ("https://api.github.com.example.com/x", "POSTRIDER_GITHUB_HOSTS"),
        ("https://127.0.0.1:8081/x", "POSTRIDER_GITHUB_HOSTS"),
        ("https://api.github.com@example.com/x", "POSTRIDER_GITHUB_HOSTS"),
        ("nonsense", "valid URL"),
    ] {
        let why = judge(&["https"], url).unwrap_err();
        assert!(why.contains(word), "{url}: {why}");
    }
}
