//! A browser without scripts: it keeps the page's cookie, sends forms as pages do, and looks at
//! every redirect.

use anyhow::{Context, Result, ensure};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use url::form_urlencoded::Serializer;

use crate::harness::Api;

/// What every answer below `/ui` says.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// A browser at one address.
#[derive(Debug)]
pub(super) struct Browser {
    client: reqwest::Client,
    base: String,
    cookie: Option<String>,
    /// What it says of where forms come from.
    pub(super) origin: Option<String>,
}

/// A page, or a redirect.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Page {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where it leads.
    pub(super) fn leads_to(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    pub(super) fn holds(&self, text: &str) -> Result<()> {
        ensure!(self.text.contains(text), "{text:?} is not in {}", self.text);
        Ok(())
    }

    pub(super) fn lacks(&self, text: &str) -> Result<()> {
        ensure!(!self.text.contains(text), "{text:?} is in {}", self.text);
        Ok(())
    }

    /// The value of a hidden field.
    pub(super) fn hidden(&self, name: &str) -> Result<&str> {
        let start = format!("type=\"hidden\" name=\"{name}\" value=\"");
        let rest = self.text.split(&start).nth(1).with_context(|| format!("a field {name}"))?;
        rest.split('"').next().context("its value")
    }
}

impl Browser {
    pub(super) fn at(api: &Api) -> Result<Self> {
        let none = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().no_proxy().redirect(none).build()?;
        let base = api.base().to_owned();
        Ok(Self { client, origin: Some(base.clone()), base, cookie: None })
    }

    /// One that has signed in already.
    pub(super) fn with_cookie(api: &Api, cookie: &str) -> Result<Self> {
        Ok(Self { cookie: Some(cookie.to_owned()), ..Self::at(api)? })
    }

    /// The cookie that it keeps.
    pub(super) fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Page> {
        let call = self.client.get(format!("{}{path}", self.base));
        self.send(call).await
    }

    /// Asks for a path in the way of another kind of client.
    pub(super) async fn accepting(&mut self, path: &str, accept: &str) -> Result<Page> {
        let call = self.client.get(format!("{}{path}", self.base)).header("accept", accept);
        self.send(call).await
    }

    /// What a script gets that asks for the changed part of a view.
    pub(super) async fn fragment(&mut self, path: &str) -> Result<Page> {
        let call = self.client.get(format!("{}{path}", self.base)).header("hx-request", "true");
        self.send(call).await
    }

    /// The beginning of a stream, which goes on.
    pub(super) async fn listen(&self, path: &str) -> Result<(String, String)> {
        let call = self.client.get(format!("{}{path}", self.base));
        let cookie = self.cookie.as_deref().unwrap_or_default();
        let mut response = call.header(COOKIE, cookie).send().await?;
        let kind = response.headers().get("content-type").context("a content type")?;
        let kind = kind.to_str()?.to_owned();
        let first = response.chunk().await?.context("a beginning")?;
        Ok((kind, String::from_utf8(first.to_vec())?))
    }

    /// Sends a form.
    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Page> {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(fields);
        let call = self.client.post(format!("{}{path}", self.base));
        let mut call = call.body(form.finish());
        if let Some(origin) = &self.origin {
            call = call.header(ORIGIN, origin);
        }
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        self.send(call).await
    }

    /// A view as it is shown: 200 under the strict policy.
    pub(super) async fn view(&mut self, path: &str) -> Result<Page> {
        let page = self.get(path).await?;
        ensure!(page.status == 200, "{path} answered {}: {}", page.status, page.text);
        ensure!(page.header("content-security-policy") == POLICY, "{:?}", page.headers);
        ensure!(page.header("cache-control") == "no-store", "{:?}", page.headers);
        Ok(page)
    }

    async fn send(&mut self, call: reqwest::RequestBuilder) -> Result<Page> {
        let call = match &self.cookie {
            Some(cookie) => call.header(COOKIE, cookie),
            None => call,
        };
        let response = call.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if let Some(set) = headers.get(SET_COOKIE) {
            let pair = set.to_str()?.split(';').next().unwrap_or_default().to_owned();
            self.cookie = Some(pair).filter(|pair| !pair.ends_with('='));
        }
        Ok(Page { status, headers, text: response.text().await? })
    }
}
