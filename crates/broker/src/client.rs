//! One way to call a broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use crate::answer::Answer;
use crate::config::{BrokerConfig, checked};
use crate::error::{BrokerError, root_cause};

/// Answers beyond this are refused.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// HAL first; problem documents so that refusals name the field.
const ACCEPTED: HeaderValue =
    HeaderValue::from_static("application/hal+json, application/json, application/problem+json");
/// How long to wait before a read is tried again; so many further tries there are.
const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// A broker that asks for more patience than this is away.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Redirects of one read.
const MAX_REDIRECTS: usize = 3;
/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path below the broker's base URL: `["pacticipants", "Pro/vider"]` is
/// `/pacticipants/Pro%2Fvider`.
pub fn path(segments: &[&str]) -> String {
    segments.iter().flat_map(|segment| ["/".to_owned(), encoded(segment)]).collect()
}

/// Text for use in a path segment or a query value (RFC 3986: space is `%20`, slash `%2F`).
pub(crate) fn encoded(text: &str) -> String {
    // For values. In a path even this is resolved away (WHATWG URL, section 4.1), so that a
    // pacticipant of such a name can't be asked for.
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, RESERVED).to_string(),
    }
}

/// A Pact Broker or PactFlow.
#[derive(Debug, Clone)]
pub struct Broker {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
    auth_from: Option<String>,
    /// When it last answered as it should, in milliseconds since 1970; 0 where it never did.
    answered_at: Arc<AtomicI64>,
}

impl Broker {
    /// Prepares to call; nothing is sent yet. The only error is [`BrokerError::Setup`].
    pub fn new(config: BrokerConfig) -> Result<Self, BrokerError> {
        let http = config.http()?;
        let authorization = config.auth.header(&http)?;
        let auth_from = config.auth_from;
        let base = checked(config.base_url)?;
        Ok(Self { http, base, authorization, auth_from, answered_at: Arc::default() })
    }

    /// Its address, for messages: without query.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// When it last answered as it should, by this machine's clock; `None` where it never did.
    pub fn answered_at(&self) -> Option<Timestamp> {
        let millis = self.answered_at.load(Ordering::Relaxed);
        Timestamp::from_millisecond(millis).ok().filter(|_| millis > 0)
    }

    /// GET of a path below the base URL, or of a link that the broker gave. Tried three times
    /// when there is no connection or a 502, 503 or 504.
    pub async fn get_json(&self, link: &str) -> Result<Answer, BrokerError> {
        let url = self.resolve(link)?;
        for wait in WAITS {
            let answer = self.followed(url.clone()).await;
            match patience(&answer, wait) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return answer.map_err(|failed| failed.error),
            }
        }
        self.followed(url).await.map_err(|failed| failed.error)
    }

    /// POST of a JSON document; never repeated.
    pub async fn post_json(&self, link: &str, body: &Value) -> Result<Answer, BrokerError> {
        self.write(Method::POST, link, Some(body)).await
    }

    /// PUT of a JSON document; never repeated.
    pub async fn put_json(&self, link: &str, body: &Value) -> Result<Answer, BrokerError> {
        self.write(Method::PUT, link, Some(body)).await
    }

    /// DELETE; never repeated.
    pub async fn delete(&self, link: &str) -> Result<Answer, BrokerError> {
        self.write(Method::DELETE, link, None).await
    }

    /// The index, in which a broker says where its resources are.
    pub async fn index(&self) -> Result<Value, BrokerError> {
        self.ok(self.get_json("").await?)
    }

    /// Whether it is there and takes the credential.
    pub async fn heartbeat(&self) -> Result<(), BrokerError> {
        self.ok(self.get_json("/diagnostic/status/heartbeat").await?).map(drop)
    }

    /// The JSON document of a successful answer, else the error that the status stands for.
    pub fn ok(&self, answer: Answer) -> Result<Value, BrokerError> {
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        if answer.body.is_null() && answer.status != StatusCode::NO_CONTENT {
            return Err(self.unexpected("no JSON; is this the address of a Pact Broker?"));
        }
        self.answered_at.store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
        Ok(answer.body)
    }

    /// What an answer that is no success means.
    pub fn refusal(&self, answer: &Answer) -> BrokerError {
        let broker = self.address().to_owned();
        let status = answer.status.as_u16();
        let said = answer.said();
        match status {
            401 | 403 => {
                let from = self.auth_from.clone();
                BrokerError::Credential { broker, from, status, detail: said }
            }
            429 => BrokerError::RateLimited { broker, retry_after: answer.retry_after() },
            500..=599 => {
                let retry_after = answer.retry_after();
                BrokerError::Away { broker, what: format!("{status}: {said}"), retry_after }
            }
            _ => self.unexpected(format!("{status}: {said}")),
        }
    }

    pub(crate) fn unexpected(&self, what: impl Into<String>) -> BrokerError {
        BrokerError::Unexpected { broker: self.address().to_owned(), what: what.into() }
    }

    fn away(&self, what: String) -> BrokerError {
        BrokerError::Away { broker: self.address().to_owned(), what, retry_after: None }
    }

    /// A path is below the base URL; a whole URL has to be of the broker's own origin.
    fn resolve(&self, link: &str) -> Result<Url, BrokerError> {
        let url = if link.contains("://") {
            Url::parse(link)
        } else {
            let below = link.trim_start_matches('/');
            let joint = if below.is_empty() { "" } else { "/" };
            Url::parse(&format!("{}{joint}{below}", self.address()))
        };
        match url {
            Ok(url) if self.is_own(&url) => Ok(url),
            Ok(url) => Err(self.elsewhere("a link", &url)),
            Err(error) => Err(self.unexpected(format!("a link is no URL: {error}"))),
        }
    }

    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin() && url.username().is_empty() && url.password().is_none()
    }

    fn elsewhere(&self, what: &str, url: &Url) -> BrokerError {
        let origin = url.origin().ascii_serialization();
        self.unexpected(format!(
            "{what} leads to {origin}, where the credential is not sent; if that is the broker, \
             make it the base URL"
        ))
    }

    async fn write(
        &self,
        method: Method,
        link: &str,
        body: Option<&Value>,
    ) -> Result<Answer, BrokerError> {
        let url = self.resolve(link)?;
        self.exchange(method, url, body).await.map_err(|failed| failed.error)
    }

    /// A read, redirects within the origin included.
    async fn followed(&self, mut url: Url) -> Result<Answer, Failed> {
        for _ in 0..MAX_REDIRECTS {
            let answer = self.exchange(Method::GET, url.clone(), None).await?;
            let Some(to) = location(&answer, &url) else {
                return Ok(answer);
            };
            if !self.is_own(&to) {
                return Err(self.elsewhere("a redirect", &to).into());
            }
            url = to;
        }
        Err(self.unexpected(format!("more than {MAX_REDIRECTS} redirects")).into())
    }

    async fn exchange(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Answer, Failed> {
        let mut request = self.http.request(method, url).header(ACCEPT, ACCEPTED);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(self.unexpected(format!("more than {MAX_ANSWER} bytes")).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer::new(status, headers, Bytes::from(bytes)))
    }

    fn failed(&self, error: reqwest::Error) -> Failed {
        let error = error.without_url();
        let what =
            if error.is_timeout() { "no answer in time".to_owned() } else { root_cause(&error) };
        Failed { connecting: error.is_connect() && !error.is_timeout(), error: self.away(what) }
    }
}

/// A request without a usable answer.
struct Failed {
    /// Nothing was sent yet.
    connecting: bool,
    error: BrokerError,
}

impl From<BrokerError> for Failed {
    fn from(error: BrokerError) -> Self {
        Self { connecting: false, error }
    }
}

/// How long to wait before the read is tried again; `None` when that is of no use.
fn patience(answer: &Result<Answer, Failed>, usual: Duration) -> Option<Duration> {
    match answer {
        Ok(answer) if matches!(answer.status.as_u16(), 502..=504) => {
            let wait = answer.retry_after().unwrap_or_default().max(usual);
            (wait <= LONGEST_WAIT).then_some(wait)
        }
        Ok(_) => None,
        Err(failed) => failed.connecting.then_some(usual),
    }
}

/// Where a redirect leads.
fn location(answer: &Answer, from: &Url) -> Option<Url> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(answer.headers.get(LOCATION)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use postrider_http_client::{Outbound, ProxyRules};
    use proptest::prelude::*;

    use super::*;

    fn broker(base: &str) -> Result<Broker, BrokerError> {
        Broker::new(BrokerConfig::new(base.parse().unwrap()))
    }

    #[test]
    fn paths_stay_below_the_base_url() {
        for (base, link, expected) in [
            ("http://h", "/webhooks", "http://h/webhooks"),
            ("http://h/pact/", "webhooks?a=b%20c", "http://h/pact/webhooks?a=b%20c"),
            ("http://h/pact", "", "http://h/pact"),
            ("http://h/pact", "http://h/pact/webhooks/x", "http://h/pact/webhooks/x"),
        ] {
            assert_eq!(broker(base).unwrap().resolve(link).unwrap().as_str(), expected);
        }
        assert_eq!(path(&["p", "a/b c", "é~", ".."]), "/p/a%2Fb%20c/%C3%A9~/%2E%2E");
    }

    #[test]
    fn links_elsewhere_are_refused() {
        let broker = broker("https://h/pact").unwrap();
        for link in ["https://other/x", "http://h/pact", "https://h:8443/", "https://u:p@h/"] {
            let error = broker.resolve(link).unwrap_err();
            assert!(matches!(error, BrokerError::Unexpected { .. }), "{link}: {error}");
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for base in ["ftp://h", "https://user:hunter2@h", "mailto:a@b"] {
            let error = broker(base).unwrap_err();
            assert!(matches!(error, BrokerError::Setup { .. }), "{base}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let mut config = BrokerConfig::new("https://h".parse().unwrap());
        let no_certificate = vec![b"no certificate".to_vec()];
        config.outbound = Outbound::new(no_certificate, ProxyRules::default());
        assert!(matches!(Broker::new(config), Err(BrokerError::Setup { .. })));
    }

    proptest! {
        #[test]
        fn names_are_one_segment_and_come_back(name in "\\PC{1,20}") {
            // A pacticipant with such a name can't be asked for: URLs know no segment like that.
            prop_assume!(name != "." && name != "..");
            let broker = broker("http://h/pact").unwrap();
            let url = broker.resolve(&path(&["pacticipants", &name])).unwrap();
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3);
            let last = percent_decode_str(segments[2]).decode_utf8().unwrap();
            prop_assert_eq!(last, name);
            prop_assert_eq!((url.query(), url.fragment()), (None, None));
        }
    }
}
