use super::*;

fn proxy(text: &str) -> Proxy {
    Proxy::parse(text).unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// Seen with curl 7.88: which port it dials.
#[test]
fn a_proxy_is_read_as_curl_reads_it() {
    for (text, expected) in [
        ("http://proxy", "Proxy(http://proxy:1080)"),
        ("proxy", "Proxy(http://proxy:1080)"),
        ("proxy:3128", "Proxy(http://proxy:3128)"),
        ("http://proxy:80", "Proxy(http://proxy:80)"),
        ("https://proxy", "Proxy(https://proxy:443)"),
        ("https://proxy:8443/ignored?too", "Proxy(https://proxy:8443)"),
        ("http://[2001:db8::1]", "Proxy(http://[2001:db8::1]:1080)"),
        ("http://[2001:db8::1]:3128", "Proxy(http://[2001:db8::1]:3128)"),
        ("http://user:1234@proxy", "Proxy(http://proxy:1080)"),
        (" http://proxy:3128 ", "Proxy(http://proxy:3128)"),
    ] {
        assert_eq!(format!("{:?}", proxy(text)), expected, "{text}");
    }
}

#[test]
fn credentials_of_a_proxy_are_decoded_and_never_shown() {
    for (text, expected) in [
        ("http://us%40er:pw%3a@p:1", Some("Basic dXNAZXI6cHc6")),
        ("http://user@p:1", Some("Basic dXNlcjo=")),
        ("http://:pw@p:1", Some("Basic OnB3")),
        ("http://p:1", None),
    ] {
        let proxy = proxy(text);
        let value = proxy.authorization().map(|value| value.to_str().unwrap());
        assert_eq!(value, expected, "{text}");
        assert!(!format!("{proxy:?}").contains("pw"));
        assert!(proxy.authorization().is_none_or(HeaderValue::is_sensitive));
    }
}

#[test]
fn what_is_no_proxy_is_refused_without_its_credentials() {
    for (text, expected) in [
        ("socks5://u:secret@p:1", "is a socks5 proxy, which is not supported"),
        ("ftp://p", "is a ftp proxy, which is not supported"),
        ("http://", "is not a URL: empty host"),
        ("http://u:secret@p:port", "is not a URL: invalid port number"),
    ] {
        assert_eq!(Proxy::parse(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn each_scheme_has_its_own_proxy_or_that_for_all() {
    let rules = |http: Option<&str>, https: Option<&str>, all: Option<&str>| {
        ProxyRules::new(http.map(proxy), https.map(proxy), all.map(proxy), None)
    };
    let ports = |rules: &ProxyRules| {
        ["http://h/", "https://h/", "ftp://h/"].map(|to| rules.route(&url(to)).map(|p| p.port()))
    };
    let (http, https, all) = (Some("p:1"), Some("p:2"), Some("p:3"));
    assert_eq!(ports(&rules(None, None, None)), [None, None, None]);
    assert_eq!(ports(&rules(http, None, None)), [Some(1), None, None]);
    assert_eq!(ports(&rules(None, https, None)), [None, Some(2), None]);
    assert_eq!(ports(&rules(None, None, all)), [Some(3), Some(3), None]);
    assert_eq!(ports(&rules(http, None, all)), [Some(1), Some(3), None]);
    assert_eq!(ports(&rules(None, https, all)), [Some(3), Some(2), None]);
    assert_eq!(ports(&rules(http, https, all)), [Some(1), Some(2), None]);
}

/// Seen with curl 7.88, but for IPv6 networks, which that version does not match as its manual
/// says.
#[test]
fn no_proxy_is_read_as_curl_reads_it() {
    for (no_proxy, host, is_direct) in [
        ("*", "127.0.0.1", true),
        ("*", "a.example", true),
        ("*", "[2001:db8::1]", true),
        ("a,*", "127.0.0.1", false),
        (" *", "127.0.0.1", false),
        ("", "a.example", false),
        ("127.0.0.1:9", "127.0.0.1:9", false),
        ("local.com:9", "local.com:9", false),
        ("local.com", "local.com:9", true),
        ("local.com", "www.local.com", true),
        (".local.com", "local.com", true),
        ("cal.com", "local.com", false),
        ("*.local.com", "www.local.com", false),
        ("a.b local.com", "local.com", true),
        ("a.b,,  local.com", "local.com", true),
        ("LOCAL.COM.", "local.com", true),
        ("local.com", "LOCAL.com.", true),
        (".", "local.com", false),
        ("..", "local.com.", false),
        ("com", "local.com", true),
        ("[::1]", "[::1]", false),
        ("::1", "[::1]", true),
        ("fd00::/8", "[fd12::1]", true),
        ("fd00::/8", "[fe80::1]", false),
        ("127.0.0.0/8", "127.0.0.1", true),
        ("127.0.0.0/8", "0x7f.1", true),
        ("0x7f.1", "127.0.0.1", false),
        ("127.0.0.1/0", "127.0.0.1", true),
        ("10.0.0.0/0", "127.0.0.1", false),
        ("127.0.0.0/33", "127.0.0.1", false),
        ("127.0.0.0/x", "127.0.0.1", false),
        ("127.0.0.1/x", "127.0.0.1", true),
        ("1", "127.0.0.1", false),
        (".1", "127.0.0.1", false),
        ("127.0.0.0/8", "[::ffff:127.0.0.1]", false),
        ("127.0.0.0/8", "a.127.0.0.0", false),
    ] {
        let rules = ProxyRules::new(Some(proxy("p:1")), None, None, Some(no_proxy));
        let Ok(to) = Url::parse(&format!("http://{host}/")) else { continue };
        assert_eq!(rules.route(&to).is_none(), is_direct, "{no_proxy:?} and {host}");
    }
}

#[test]
fn other_clients_get_the_same_proxy_with_its_credentials() {
    let rules = ProxyRules::new(None, Some(proxy("https://u:p@p")), None, Some("direct.example"));
    let to = |text: &str| rules.route_url(&url(text)).map(String::from);
    // `url` leaves a scheme's own port out.
    assert_eq!(to("https://h/x"), Some("https://u:p@p/".to_owned()));
    assert_eq!(to("https://direct.example/x"), None);
    assert_eq!(to("http://h/x"), None);
}
