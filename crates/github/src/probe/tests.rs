use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use url::Url;

use super::{ProbeReading, probe_url, read_probe};

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

#[test]
fn the_probe_stays_at_its_origin() {
    let table = [
        ("https://api.github.com/repos/o/r/dispatches?x=1#y", "https://api.github.com/repos/o/r"),
        (
            "http://127.0.0.1:4321/repos/o/r/actions/workflows/1/dispatches",
            "http://127.0.0.1:4321/repos/o/r",
        ),
        (
            "https://ghes.example:8443/api/v3/repos/o/r/dispatches",
            "https://ghes.example:8443/api/v3/repos/o/r",
        ),
        ("https://api.github.com/repos/o/r/statuses/abc", "https://api.github.com/repos/o/r"),
        ("https://api.github.com/orgs/o/repos", "https://api.github.com/rate_limit"),
        ("https://h.example/api/v3/user?x", "https://h.example/api/v3/rate_limit"),
    ];
    for (dispatch, expected) in table {
        let url = probe_url(&Url::parse(dispatch).unwrap());
        assert_eq!(url.as_str(), expected, "{dispatch}");
    }
}

#[test]
fn readings() {
    let table = [
        (200, "{}", ProbeReading::Good),
        (404, r#"{"message":"Rate limiting is not enabled."}"#, ProbeReading::Good),
        (404, r#"{"message":"Not Found"}"#, ProbeReading::Good),
        (401, r#"{"message":"Bad credentials"}"#, ProbeReading::Refused),
        (403, r#"{"message":"Maximum number of login attempts exceeded."}"#, ProbeReading::Refused),
        (403, r#"{"message":"Resource not accessible by integration"}"#, ProbeReading::Good),
        (403, "<html>Forbidden</html>", ProbeReading::Unknown),
        (403, r#"{"message":"API rate limit exceeded"}"#, ProbeReading::Limited(None)),
        (204, "", ProbeReading::Unknown),
        (301, "", ProbeReading::Good),
        (400, "", ProbeReading::Unknown),
        (500, "", ProbeReading::Unknown),
    ];
    for (status, body, expected) in table {
        assert_eq!(
            read_probe(status, &HeaderMap::new(), body.as_bytes(), now()),
            expected,
            "{status} {body}"
        );
    }
    let wait = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("5"))]);
    let limited = ProbeReading::Limited(Some(Duration::from_secs(5)));
    assert_eq!(read_probe(429, &wait, b"", now()), limited);
}
