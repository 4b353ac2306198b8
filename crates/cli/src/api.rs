//! One way to call postrider, and to say what went wrong.

use std::error::Error;
use std::time::{Duration, Instant};

use postrider_broker::{error_text, retry_after};
use postrider_config::ClientSettings;
use postrider_domain::is_loopback;
use postrider_http_client::{CallerOptions, Outbound};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{Exit, Failure};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_mins(1);
/// A stream ends by itself after an hour.
const STREAM_TIMEOUT: Duration = Duration::from_hours(2);
/// How long a call is made again while the token calls too often, and the pause between when no
/// other is told.
const LIMITED_WITHIN: Duration = Duration::from_secs(30);
const LIMITED_PAUSE: Duration = Duration::from_secs(1);
/// Servers and proxies take no longer addresses.
const MAX_URL: usize = 8 * 1024;
/// Answers beyond this are not postrider's.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// HAL first, for the broker's routes; problem documents so that refusals name the field.
const ACCEPTED: &str = "application/hal+json, application/json, application/problem+json";

/// A running postrider.
#[derive(Debug, Clone)]
pub struct Api {
    http: Client,
    base: Url,
    authorization: Option<HeaderValue>,
    /// Where the token was given.
    token_from: Option<String>,
}

/// What to send.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    /// Nothing.
    None,
    /// JSON, as `application/json`.
    Json(&'a Value),
    /// Bytes of this content type.
    Bytes(&'static str, &'a [u8]),
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// `Retry-After` in seconds.
    pub(crate) retry_after: Option<Duration>,
    /// The document; null when there is none or it is no JSON.
    pub(crate) body: Value,
}

impl Api {
    /// Prepares to call; nothing is sent yet.
    pub fn new(settings: &ClientSettings) -> Result<Self, Failure> {
        let options = CallerOptions {
            user_agent: concat!("postrider-cli/", env!("CARGO_PKG_VERSION")),
            connect: CONNECT_TIMEOUT,
            total: TIMEOUT,
            direct: is_loopback(&settings.url),
        };
        let http = Outbound::new(Vec::new(), settings.proxies.clone())
            .caller(options)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let authorization = match &settings.token {
            None => None,
            Some(token) => Some(bearer(token.expose_secret())?),
        };
        let (base, token_from) = (settings.url.clone(), settings.token_from.clone());
        Ok(Self { http, base, authorization, token_from })
    }

    /// GET of a document.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let answer = self.call(Method::GET, path, query, Body::None).await?;
        self.ok(answer)
    }

    /// Another method with what it sends, if anything, and what it answers.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Body<'_>,
    ) -> Result<T, Failure> {
        let answer = self.call(method, path, &[], body).await?;
        self.ok(answer)
    }

    /// POST of a document.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        document: &impl Serialize,
    ) -> Result<T, Failure> {
        let document = serde_json::to_value(document)
            .map_err(|error| Failure::usage(format!("what is to be sent is no JSON: {error}")))?;
        self.send(Method::POST, path, Body::Json(&document)).await
    }

    /// One request; an error only when there is no answer. One that was refused because of too
    /// many is made again when that is over, if it is soon.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Body<'_>,
    ) -> Result<Answer, Failure> {
        let length = self.url(path, query).as_str().len();
        if length > MAX_URL {
            let what = format!("what is asked for makes an address of {length} characters");
            return Err(Failure::usage(what).fix("give shorter values"));
        }
        let until = Instant::now() + LIMITED_WITHIN;
        loop {
            let answer = self.once(method.clone(), path, query, body).await?;
            let wait = answer.retry_after.unwrap_or(LIMITED_PAUSE);
            let is_limited = answer.status == StatusCode::TOO_MANY_REQUESTS;
            if !is_limited || Instant::now() + wait > until {
                return Ok(answer);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// A stream of events, `last` being the id of the last one seen; its answer is not read yet.
    pub(crate) async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        last: Option<&str>,
    ) -> Result<Response, Failure> {
        let mut request = self.http.get(self.url(path, query)).timeout(STREAM_TIMEOUT);
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let bytes = self.read(response).await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Err(self.refusal(&Answer { status, retry_after, body }))
    }

    async fn once(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Body<'_>,
    ) -> Result<Answer, Failure> {
        let mut request = self.http.request(method, self.url(path, query)).header(ACCEPT, ACCEPTED);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let answer = with_body(request, body).send().await;
        let response = answer.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let bytes = self.read(response).await?;
        let document = serde_json::from_slice(&bytes);
        // A page, or a way to one, as a server for people or a sign-in before it answers.
        let is_page = document.is_err() && !bytes.is_empty() && status.is_success();
        if is_page || status.is_redirection() {
            return Err(self.other_server(status));
        }
        Ok(Answer { status, retry_after, body: document.unwrap_or(Value::Null) })
    }

    /// The document of a successful answer, else the failure that the status stands for.
    pub(crate) fn ok<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, Failure> {
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        serde_json::from_value(answer.body).map_err(|error| {
            let what = format!("{} answered what this command can't read: {error}", self.base);
            Failure::new(Exit::Unreachable, what)
                .fix("is it postrider? Then use a command of the version of the running one")
        })
    }

    /// What an answer that is no success means for the caller.
    pub(crate) fn refusal(&self, answer: &Answer) -> Failure {
        let status = answer.status;
        let detail = error_text(&answer.body).unwrap_or_else(|| {
            status.canonical_reason().unwrap_or("no reason given").to_lowercase()
        });
        match status.as_u16() {
            401 => self.unauthorised(&detail),
            403 => Failure::new(
                Exit::Credential,
                format!("the token{} may not do this: {detail}", self.given()),
            )
            .fix("use a token whose role covers it: ingest, read or operate"),
            429 => Failure::new(Exit::RateLimited, format!("rate limited: {detail}"))
                .fix("try again later"),
            500..=599 => Failure::new(
                Exit::Unreachable,
                format!("{} answered {}: {detail}", self.base, status.as_u16()),
            )
            .fix("look at /healthz and at the log of the running postrider"),
            404 if !answer.body.is_null() => Failure::new(Exit::No, format!("not found: {detail}")),
            // postrider says in a document what it did not find.
            200..=399 | 404 => self.other_server(status),
            code => Failure::new(Exit::No, format!("refused ({code}): {detail}")),
        }
    }

    /// ` from POSTRIDER_TOKEN`, or nothing.
    fn given(&self) -> String {
        self.token_from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default()
    }

    fn unauthorised(&self, detail: &str) -> Failure {
        const GIVE: &str = "give a token with --token-file, POSTRIDER_TOKEN, POSTRIDER_TOKEN_FILE, \
                            or keep one with `postrider context add`";
        let what = match &self.token_from {
            Some(from) => format!("postrider refused the token from {from}: {detail}"),
            None => format!("{} wants a token: {detail}", self.base),
        };
        Failure::new(Exit::Credential, what).fix(GIVE)
    }

    /// What answers there is not the API.
    pub(crate) fn other_server(&self, status: StatusCode) -> Failure {
        let status = status.as_u16();
        let what = format!("{} answered {status}, as no postrider does", self.base);
        Failure::new(Exit::Unreachable, what).fix(
            "is it another server, or the port of health and metrics (9394)? The API's is \
             POSTRIDER_LISTEN (9393)",
        )
    }

    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let what =
            if error.is_timeout() { "no answer in time".to_owned() } else { root_cause(error) };
        Failure::new(Exit::Unreachable, format!("cannot reach postrider at {}: {what}", self.base))
            .fix(
                "start one with `postrider serve`, or name its address with --url or POSTRIDER_URL",
            )
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                let message = format!("{} answered more than {MAX_ANSWER} bytes", self.base);
                return Err(Failure::new(Exit::Unreachable, message));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::usage("the token can't be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn with_body(request: RequestBuilder, body: Body<'_>) -> RequestBuilder {
    match body {
        Body::None => request,
        Body::Json(value) => request.json(value),
        Body::Bytes(content_type, bytes) => {
            request.header(CONTENT_TYPE, content_type).body(bytes.to_vec())
        }
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_as_path_segments_below_the_base() {
        let settings = ClientSettings {
            url: "http://h/base/".parse().unwrap(),
            token: None,
            token_from: None,
            ingest_token: None,
            proxies: postrider_http_client::ProxyRules::default(),
        };
        let api = Api::new(&settings).unwrap();
        let url = api.url(&["secrets", "a/b c"], &[("q", "x&y".to_owned())]);
        assert_eq!(url.as_str(), "http://h/base/secrets/a%2Fb%20c?q=x%26y");
    }
}
