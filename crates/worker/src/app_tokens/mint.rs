//! Asking GitHub for a token.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use postrider_domain::{Answer, AppTargets, GithubAnswer};
use postrider_github::{Denied, Installed, Scope, read_installation, read_token, token_request};
use postrider_http_client::{Client, Reply, Request, Within};
use postrider_render::{AppKey, Redactor};
use postrider_store::Store;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::wanted::{Failure, Key, Place, Wanted};
use crate::WorkerConfig;

/// Asking takes no longer than this, all questions together.
const MINTED_WITHIN: Duration = Duration::from_secs(5);
/// The version of GitHub's API that the questions are written for.
const API_VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");

/// Asks for tokens.
#[derive(Debug)]
pub(crate) struct Minter {
    client: Client,
    store: Store,
    config: WorkerConfig,
    within: Duration,
}

/// What asking brought.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) token: SecretString,
    pub(crate) lives: Duration,
    pub(crate) scope: Scope,
    pub(crate) installation: u64,
}

impl Minter {
    pub(crate) fn new(client: Client, store: Store, config: &WorkerConfig) -> Self {
        // Who waits has the margin of a claim for it.
        let within = MINTED_WITHIN.min(config.claim_margin);
        Self { client, store, config: config.clone(), within }
    }

    /// One token; `installation` is known if it was found before.
    pub(crate) async fn mint(
        &self,
        key: &Key,
        wanted: &Wanted,
        installation: Option<u64>,
    ) -> Result<Minted, Failure> {
        let all = self.ask_all(key, wanted, installation);
        let late = || Err(Failure::away("GitHub gave no answer in time"));
        let minted = tokio::time::timeout(self.within, all).await.unwrap_or_else(|_| late());
        let secret = wanted.name.as_str();
        match &minted {
            Ok(minted) => {
                postrider_telemetry::guard_secrets([minted.token.expose_secret()]);
                let (installation, lives_s) = (minted.installation, minted.lives.as_secs());
                tracing::info!(secret, installation, lives_s, "app_token.minted");
            }
            Err(Failure::Means { why, .. }) => {
                tracing::warn!(secret, error = why.as_str(), "app_token.denied");
            }
            Err(Failure::Local(trouble)) => {
                tracing::warn!(secret, error = trouble.as_str(), "app_token.denied");
            }
        }
        minted
    }

    async fn ask_all(
        &self,
        key: &Key,
        wanted: &Wanted,
        installation: Option<u64>,
    ) -> Result<Minted, Failure> {
        let asker = Asker::new(self, wanted)?;
        let installation = match (&key.place, installation) {
            (Place::Id(id), _) => *id,
            (Place::Owner(_), Some(id)) => id,
            (Place::Owner(owner), None) => asker.installation_of(owner, wanted).await?,
        };
        let scope = self.scope(wanted).await;
        match asker.token(key, installation, &scope).await? {
            Ok(token) => Ok(minted(token, scope, installation)),
            Err(denied) if denied.is_too_much => {
                asker.narrower(key, wanted, installation, scope, &denied).await
            }
            Err(denied) => Err(failure("no installation token", &denied)),
        }
    }

    /// What all webhooks of the secret need, so that they share a token. What can't be read now is
    /// asked for when it is needed.
    async fn scope(&self, wanted: &Wanted) -> Scope {
        let need = wanted.need.clone();
        match self.store.webhook_table(None).await {
            Ok(table) => {
                let webhooks = table.into_iter().flat_map(|table| table.webhooks);
                let users = webhooks.filter(|stored| stored.secret_names.contains(&wanted.name));
                users.fold(need, |scope, stored| scope.and(Scope::of(&stored.webhook.request.url)))
            }
            Err(_) => need,
        }
    }
}

fn minted(token: postrider_github::AppToken, scope: Scope, installation: u64) -> Minted {
    Minted { token: token.token, lives: token.lives, scope, installation }
}

fn failure(what: &str, denied: &Denied) -> Failure {
    Failure::of_github(denied.answer, denied.wait, format!("{what}: {}", denied.why))
}

/// Speaks as the app.
struct Asker<'a> {
    minter: &'a Minter,
    api_url: &'a str,
    proof: HeaderValue,
    redactor: Redactor,
}

impl<'a> Asker<'a> {
    fn new(minter: &'a Minter, wanted: &'a Wanted) -> Result<Self, Failure> {
        let secret = &wanted.app;
        let unusable = |why: &str| Failure::Means {
            answer: Answer::SecretUnusable,
            why: format!("the secret {}: {why}", wanted.name),
            need: None,
        };
        let api_url = secret.app.api_url.as_str();
        let config = &minter.config;
        let may = AppTargets { github_hosts: &config.github_hosts, schemes: &config.schemes };
        may.check(api_url).map_err(|why| unusable(&why))?;
        let key = AppKey::parse(&secret.private_key).map_err(|why| unusable(&why.to_string()))?;
        let token = key.json_web_token(&secret.app.app_id, Timestamp::now().as_second());
        let token = token.ok_or_else(|| unusable("its private key can't sign"))?;
        let proof = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
        let mut proof = proof.map_err(|_| unusable("its private key can't sign"))?;
        proof.set_sensitive(true);
        let redactor = Redactor::new([&token]);
        Ok(Self { minter, api_url, proof, redactor })
    }

    async fn installation_of(&self, owner: &str, wanted: &Wanted) -> Result<u64, Failure> {
        let what = "no installation of the app";
        let told = |denied: Denied| failure(what, &denied);
        if let (None, Some((owner, repo))) = (&wanted.app.app.owner, &wanted.repository) {
            let found = self.installed(&format!("/repos/{owner}/{repo}/installation")).await?;
            return found.map(|found| found.id).map_err(told);
        }
        let of_org = self.installed(&format!("/orgs/{owner}/installation")).await?;
        let found = match of_org {
            Err(denied) if denied.answer == GithubAnswer::TokenRefused => {
                self.installed(&format!("/users/{owner}/installation")).await?
            }
            other => other,
        };
        found.map(|found| found.id).map_err(told)
    }

    async fn installed(&self, path: &str) -> Result<Result<Installed, Denied>, Failure> {
        let (status, headers, body) = self.ask(Method::GET, path, None).await?;
        let found = read_installation(status.as_u16(), &headers, &body, Timestamp::now());
        Ok(found.map_err(|denied| self.clean(denied)))
    }

    async fn token(
        &self,
        key: &Key,
        installation: u64,
        scope: &Scope,
    ) -> Result<Result<postrider_github::AppToken, Denied>, Failure> {
        let name = key.repository.as_deref().and_then(|slug| slug.split('/').nth(1));
        let body = token_request(scope, name);
        let path = format!("/app/installations/{installation}/access_tokens");
        let (status, headers, body) = self.ask(Method::POST, &path, Some(&body)).await?;
        let read = read_token(status.as_u16(), &headers, &body, Timestamp::now());
        Ok(read.map_err(|denied| self.clean(denied)))
    }

    /// The installation lacks something: a webhook that needs it can't be served, the others can.
    async fn narrower(
        &self,
        key: &Key,
        wanted: &Wanted,
        installation: u64,
        scope: Scope,
        denied: &Denied,
    ) -> Result<Minted, Failure> {
        let asked = self.installed(&format!("/app/installations/{installation}")).await?;
        let granted = asked.map(|found| found.permissions).unwrap_or_default();
        let missing = scope.missing(&granted);
        if !missing.is_empty() && wanted.need.missing(&granted).is_empty() {
            let less = scope.without(&missing);
            return match self.token(key, installation, &less).await? {
                Ok(token) => Ok(minted(token, less, installation)),
                Err(denied) => Err(self.lacking(key, &wanted.need, &less, &denied)),
            };
        }
        let lacking = Scope::Only(missing);
        let named = if missing_any(&lacking) { &lacking } else { &scope };
        Err(self.lacking(key, &wanted.need, named, denied))
    }

    fn lacking(&self, key: &Key, need: &Scope, missing: &Scope, denied: &Denied) -> Failure {
        let mut lacks: Vec<String> = missing.permissions().map(|one| one.to_string()).collect();
        if let Some(repository) = key.repository.as_deref().filter(|_| lacks.is_empty()) {
            lacks.push(format!("the repository {repository}"));
        }
        let why = if lacks.is_empty() {
            denied.why.clone()
        } else {
            format!("the installation lacks {} ({})", lacks.join(", "), denied.why)
        };
        let why = format!("no installation token: {}", self.redactor.redact(&why));
        match Failure::of_github(denied.answer, denied.wait, why) {
            Failure::Means { answer, why, .. } => {
                Failure::Means { answer, why, need: Some(need.clone()) }
            }
            local @ Failure::Local(_) => local,
        }
    }

    /// What GitHub says may repeat what it was sent.
    fn clean(&self, mut denied: Denied) -> Denied {
        denied.why = self.redactor.redact(&denied.why).into_owned();
        denied
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let url = Url::parse(&format!("{}{path}", self.api_url))
            .map_err(|_| Failure::away("its address can't be made"))?;
        let minter = self.minter;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.proof.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert("x-github-api-version", API_VERSION);
        if let Ok(agent) = HeaderValue::from_str(&minter.config.user_agent) {
            headers.insert(USER_AGENT, agent);
        }
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(|body| Bytes::from(body.to_string()));
        let request = Request { method: &method, url: &url, headers: &headers, body };
        let within = Within { connect: minter.within, total: minter.within };
        match minter.client.send(&request, within).await {
            Reply::Answered { status, headers, body } => Ok((status, headers, body)),
            Reply::Blocked(why) => Err(Failure::Means {
                answer: Answer::Blocked,
                why: format!("no installation token: {why}"),
                need: None,
            }),
            Reply::LocalTrouble(trouble) => Err(Failure::Local(trouble)),
            Reply::TimedOut { .. } => Err(Failure::away("GitHub gave no answer in time")),
            Reply::ConnectFailed(why) | Reply::Broken(why) | Reply::Unreadable { why, .. } => {
                Err(Failure::away(&self.redactor.redact(&why)))
            }
        }
    }
}

fn missing_any(scope: &Scope) -> bool {
    scope.permissions().next().is_some()
}
