//! The one request that all receivers take.

use std::error::Error;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use postrider_broker::retry_after;
use postrider_store::AlertChannel;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::AlertConfig;

/// Of an answer that refuses, this much is told.
const SAID_MOST: usize = 200;
/// Of such an answer this much is read.
const READ_MOST: usize = 4 * 1024;

/// A receiver's settings can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("POSTRIDER_ALERT_{}_URL: {what}", channel.as_str().to_uppercase())]
pub struct AlertError {
    channel: AlertChannel,
    what: String,
}

/// Why an alert did not arrive; holds neither the URL nor a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) what: String,
    /// How long the receiver asked to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// A place that JSON is posted to.
#[derive(Debug, Clone)]
pub(super) struct Post {
    http: reqwest::Client,
    url: SecretString,
}

impl Post {
    /// `below` is added to the URL's path.
    pub(super) fn new(
        config: &AlertConfig,
        channel: AlertChannel,
        url: &SecretString,
        below: &str,
    ) -> Result<Self, AlertError> {
        let fail = |what: String| AlertError { channel, what };
        let mut target =
            Url::parse(url.expose_secret()).map_err(|error| fail(error.to_string()))?;
        if !below.is_empty() {
            let mut path =
                target.path_segments_mut().map_err(|()| fail("is no http URL".to_owned()))?;
            path.pop_if_empty().extend(below.split('/'));
        }
        let http = client(config).map_err(fail)?;
        Ok(Self { http, url: SecretString::from(String::from(target)) })
    }

    pub(super) async fn json(&self, body: &Value) -> Result<(), Failed> {
        self.text(body.to_string(), &[]).await
    }

    pub(super) async fn text(
        &self,
        body: String,
        headers: &[(&'static str, String)],
    ) -> Result<(), Failed> {
        let mut request = self.http.post(self.url.expose_secret());
        request = request.header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| Failed { what: chain(&error.without_url()), retry_after: None })?;
        if answer.status().is_success() {
            return Ok(());
        }
        let retry_after = retry_after(answer.headers());
        let status = answer.status().as_u16();
        let said = said(answer).await;
        Err(Failed { what: format!("answered {status}{said}"), retry_after })
    }
}

fn client(config: &AlertConfig) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(config.user_agent.as_str())
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .connect_timeout(config.timeout)
        .timeout(config.timeout);
    if let Some(proxy) = &config.https_proxy {
        let proxy = reqwest::Proxy::https(proxy.expose_secret())
            .map_err(|error| format!("HTTPS_PROXY is no URL: {}", error.without_url()))?;
        let bypass = config.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
        builder = builder.proxy(proxy.no_proxy(bypass));
    }
    let mut roots = Vec::new();
    for bundle in &config.certificates {
        let read = reqwest::Certificate::from_pem_bundle(bundle);
        roots.extend(read.map_err(|error| format!("a certificate file is not PEM: {error}"))?);
    }
    builder.tls_certs_merge(roots).build().map_err(|error| chain(&error))
}

/// The beginning of what a receiver said, on one line.
async fn said(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= READ_MOST {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let shown: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MOST).collect();
    if shown.is_empty() { shown } else { format!(": {shown}") }
}

/// An error with its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    fn cause<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        (*error).source()
    }
    let causes = std::iter::successors(Some(error), cause);
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
