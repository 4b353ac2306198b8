//! The one request that all receivers take.

use std::error::Error;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use postrider_broker::retry_after;
use postrider_domain::is_loopback;
use postrider_http_client::CallerOptions;
use postrider_store::AlertChannel;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::config::AlertConfig;

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
pub(crate) struct Failed {
    pub(crate) what: String,
    /// How long the receiver asked to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// A place that JSON is posted to.
#[derive(Debug, Clone)]
pub(crate) struct Post {
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
        let http = client(config, &target).map_err(fail)?;
        Ok(Self { http, url: SecretString::from(String::from(target)) })
    }

    /// Where Slack takes messages, if it is to take any.
    pub(crate) fn slack(config: &AlertConfig) -> Result<Option<Self>, AlertError> {
        let url = config.slack.as_ref();
        url.map(|url| Self::new(config, AlertChannel::Slack, url, "")).transpose()
    }

    /// Posts it.
    pub(crate) async fn json(&self, body: &Value) -> Result<(), Failed> {
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

fn client(config: &AlertConfig, target: &Url) -> Result<reqwest::Client, String> {
    let options = CallerOptions {
        user_agent: &config.user_agent,
        connect: config.timeout,
        total: config.timeout,
        direct: is_loopback(target),
    };
    config.outbound.caller(options).map_err(|error| error.to_string())
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
