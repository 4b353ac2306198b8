use proptest::prelude::*;

use super::*;

/// A POST of `{}` as it goes out over HTTP/1 and over HTTP/2.
fn sent(
    url: &str,
    headers: &[(&'static str, &'static str)],
    proxy: Option<&str>,
) -> [http::Request<Body>; 2] {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let url = url.parse().unwrap();
    let request =
        Request { method: &Method::POST, url: &url, headers: &headers, body: Some("{}".into()) };
    let proxy = proxy.map(|proxy| Proxy::parse(proxy).unwrap());
    let prepared = Prepared::new(&request, &url, proxy.as_ref()).unwrap();
    [prepared.over_http1().unwrap(), prepared.over_http2().unwrap()]
}

fn text<'a>(request: &'a http::Request<Body>, name: &str) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn each_version_and_route_has_its_form() {
    let url = "http://user:pw@h.example:8080/a/b?x=1&y=%2F#fragment";
    let [direct, _] = sent(url, &[], None);
    assert_eq!(direct.uri(), "/a/b?x=1&y=%2F");
    assert_eq!(text(&direct, "host"), Some("h.example:8080"));

    let [proxied, _] = sent(url, &[], Some("http://me:pw@proxy"));
    assert_eq!(proxied.uri(), "http://h.example:8080/a/b?x=1&y=%2F");
    assert_eq!(text(&proxied, "proxy-authorization"), Some("Basic bWU6cHc="));

    let [over_http1, over_http2] = sent("https://h.example/a", &[], Some("http://me:pw@proxy"));
    assert_eq!(over_http1.uri(), "/a");
    assert_eq!(text(&over_http1, "host"), Some("h.example"));
    assert_eq!(text(&over_http1, "proxy-authorization"), None, "it is the proxy's alone");

    assert_eq!(over_http2.uri(), "https://h.example/a");
    assert_eq!(text(&over_http2, "host"), None);
}

#[test]
fn a_host_of_the_webhook_stays() {
    let own = [("host", "h.example")];
    let [over_http1, over_http2] = sent("https://10.0.0.1/x", &own, None);
    assert_eq!(text(&over_http1, "host"), Some("h.example"));
    assert_eq!(over_http2.uri(), "https://h.example/x");
    assert_eq!(text(&over_http2, "host"), None);
}

#[test]
fn how_the_message_travels_is_not_the_webhooks_to_say() {
    let given = [
        ("connection", "close"),
        ("proxy-authorization", "Basic x"),
        ("transfer-encoding", "chunked"),
        ("content-length", "99"),
        ("expect", "100-continue"),
        ("te", "trailers"),
        ("x-own", "1"),
    ];
    let [request, _] = sent("http://h/", &given, None);
    let names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["host", "x-own", "content-length"]);
    assert_eq!(text(&request, "content-length"), Some("2"));
}

#[test]
fn a_method_that_can_have_a_body_has_a_length() {
    let url: Url = "http://h/".parse().unwrap();
    for (method, body, length) in [
        (Method::POST, None, Some("0")),
        (Method::PUT, None, Some("0")),
        (Method::PATCH, Some(""), Some("0")),
        (Method::from_bytes(b"NOTIFY").unwrap(), None, Some("0")),
        (Method::GET, None, None),
        (Method::HEAD, None, None),
        (Method::DELETE, None, None),
        (Method::DELETE, Some("x"), Some("1")),
        (Method::GET, Some("ab"), Some("2")),
    ] {
        let body = body.map(Bytes::from);
        let request = Request { method: &method, url: &url, headers: &HeaderMap::new(), body };
        let request = Prepared::new(&request, &url, None).unwrap().over_http1().unwrap();
        assert_eq!(text(&request, "content-length"), length, "{method}");
    }
}

proptest! {
    /// Whatever a URL may hold, HTTP carries it.
    #[test]
    fn every_url_can_be_sent(
        host in "[a-z0-9.-]{1,20}|\\[::1\\]|\u{e4}\u{f6}\\.example",
        path in "[ -~\u{e4}\u{20ac}]{0,40}",
        query in "[ -~\u{e4}\u{20ac}]{0,40}",
    ) {
        if let Ok(url) = Url::parse(&format!("https://{host}/{path}?{query}")) {
            let request = Request {
                method: &Method::POST,
                url: &url,
                headers: &HeaderMap::new(),
                body: None,
            };
            let prepared = Prepared::new(&request, &url, None).unwrap();
            prop_assert!(prepared.over_http1().is_ok());
            prop_assert!(prepared.over_http2().is_ok());
        }
    }
}
