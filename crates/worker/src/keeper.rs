//! Credentials beside deliveries: writes down what answers said of them, and makes the probes that
//! people ask for, or that are due. What people ask about runs is answered here, too.
//!
//! A probe reads and changes nothing: whose the value is, and each repository that webhooks
//! dispatch to with it. It is made here because a value leaves a worker and nothing else, to the
//! webhooks' own hosts, by the policies of deliveries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use postrider_domain::{ProbeVerdict, RepositoryAccess, WebhookUuid, WhichValue, probe_verdict};
use postrider_http_client::Reply;
use postrider_render::RenderedRequest;
use postrider_store::{
    CredentialNews, GithubFacts, ProbeFindings, ProbeTask, ProbedRepository, Store, StoreError,
    StoredWebhook,
};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::attempt::{self, Context};
use crate::cache::{Prepared, Unsealed, prepare};
use crate::probe::request_of;
use crate::runs;

/// How often what is due is looked for, at least.
const LOOK: Duration = Duration::from_mins(1);
/// How long one probe may take; what it did not come to is not known.
const PROBE_WITHIN: Duration = Duration::from_mins(5);
/// How much longer it is this worker's.
const MARGIN: Duration = Duration::from_mins(1);
/// Repositories that one probe asks for.
const MOST: usize = 200;

/// What it is done with.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    pub(crate) context: Arc<Context>,
    pub(crate) store: Store,
}

impl Keeper {
    /// Runs until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let every = self.context.config.poll * 2;
        let look = LOOK.min(self.context.config.credentials);
        let (mut looked, mut is_away) = (None::<Instant>, false);
        while cancel.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let is_due = looked.is_none_or(|at| at.elapsed() >= look);
            let Some(done) = cancel.run_until_cancelled(self.round(is_due)).await else { return };
            match done {
                Ok(()) => {
                    is_away = false;
                    looked = if is_due { Some(Instant::now()) } else { looked };
                }
                // Once is enough while the store is away.
                Err(error) if !is_away => {
                    is_away = true;
                    tracing::warn!(%error, "credentials.not_kept");
                }
                Err(_) => {}
            }
        }
    }

    async fn round(&self, is_due: bool) -> Result<(), StoreError> {
        let news = self.context.credentials.take(Instant::now());
        if !news.is_empty() {
            let written = self.store.save_credential_news(&news).await;
            written.inspect_err(|_| self.context.credentials.put_back(&news))?;
        }
        if is_due {
            self.store.ask_due_probes(self.context.config.credentials).await?;
        }
        while let Some(task) = self.store.take_probe(PROBE_WITHIN + MARGIN).await? {
            self.probe(&task).await?;
        }
        runs::answer_all(&self.context, &self.store).await
    }

    async fn probe(&self, task: &ProbeTask) -> Result<(), StoreError> {
        postrider_telemetry::guard_secrets([task.value.expose_secret()]);
        let probing = Probing { keeper: self, task, until: Instant::now() + PROBE_WITHIN };
        let (verdict, findings) = Box::pin(probing.make()).await?;
        if task.which == WhichValue::Current {
            self.store.save_credential_news(&[news(&task.name, verdict, &findings)]).await?;
        }
        let which = task.which.as_str();
        tracing::info!(
            credential = task.name,
            which,
            verdict = verdict.as_str(),
            "credential.probed"
        );
        self.store.finish_probe(task, verdict, &findings).await
    }
}

/// What a probe of the value in use says of the credential.
fn news(name: &str, verdict: ProbeVerdict, found: &ProbeFindings) -> CredentialNews {
    let is_taken =
        found.owner.is_some() || matches!(verdict, ProbeVerdict::Ok | ProbeVerdict::Insufficient);
    let is_refused = verdict == ProbeVerdict::Refused;
    CredentialNews {
        name: name.to_owned(),
        github: (is_taken && !is_refused).then(|| GithubFacts {
            owner: found.owner.clone(),
            scopes: found.scopes.clone(),
            expires_at: found.expires_at,
        }),
        succeeded: (is_taken && !is_refused).then_some(Duration::ZERO),
        refused: is_refused.then_some(Duration::ZERO),
    }
}

/// A repository to read, and who dispatches to it.
struct Repository {
    request: RenderedRequest,
    shown: String,
    webhooks: Vec<WebhookUuid>,
}

/// One probe under way.
struct Probing<'k> {
    keeper: &'k Keeper,
    task: &'k ProbeTask,
    until: Instant,
}

impl Probing<'_> {
    async fn make(&self) -> Result<(ProbeVerdict, ProbeFindings), StoreError> {
        let mut found = ProbeFindings::default();
        let mut repositories: BTreeMap<Url, Repository> = BTreeMap::new();
        for webhook in &self.task.webhooks {
            let uuid = webhook.webhook.uuid.clone();
            let repository = match self.repository(webhook).await? {
                Ok(repository) => repository,
                Err(why) => {
                    found.not_probed.push((uuid, why.to_owned()));
                    continue;
                }
            };
            let url = repository.request.url.clone();
            if let Some(known) = repositories.get_mut(&url) {
                known.webhooks.push(uuid);
            } else if repositories.len() < MOST {
                repositories.insert(url, repository);
            } else {
                found.not_probed.push((uuid, "it is one of too many".to_owned()));
            }
        }
        let mut read = Vec::new();
        if let Some(first) = repositories.values().next() {
            read.extend(self.user(&first.request, &mut found).await);
        }
        if self.task.is_whole {
            for repository in repositories.into_values() {
                let (access, status_code) = self.read(&repository.request, &mut found).await;
                read.push(access);
                let Repository { shown: url, webhooks, .. } = repository;
                found.repositories.push(ProbedRepository { url, access, status_code, webhooks });
            }
        }
        Ok((probe_verdict(read), found))
    }

    /// The read that tries the value for a webhook, or why there is none.
    async fn repository(
        &self,
        webhook: &StoredWebhook,
    ) -> Result<Result<Repository, &'static str>, StoreError> {
        let prepared = prepare(webhook.clone());
        if prepared.own_secret() != Some(self.task.name.as_str()) {
            return Ok(Err("its requests do not authenticate with it"));
        }
        if repository_varies(&webhook.webhook.request.url) {
            return Ok(Err("its repository depends on the event"));
        }
        let ProbeTask { name, value, .. } = self.task;
        let cache = &self.keeper.context.cache;
        let unsealed = Arc::new(cache.unsealed_to_try(&prepared, name, value).await?);
        Ok(self.read_of(&prepared, webhook, unsealed).await)
    }

    async fn read_of(
        &self,
        prepared: &Prepared,
        webhook: &StoredWebhook,
        unsealed: Arc<Unsealed>,
    ) -> Result<Repository, &'static str> {
        let context = &self.keeper.context;
        if !prepared.will_have_all(&unsealed) {
            return Err("another secret that it uses has no value");
        }
        let asked = request_of(context, prepared, Arc::clone(&unsealed)).await;
        let sendable = asked.ok_or("its request can't be sent as it is")?.sendable;
        if !sendable.target.is_github_host && !sendable.target.kind.is_github() {
            return Err("its target is not GitHub");
        }
        if !sendable.target.is_below_repos {
            return Err("its requests are about no repository");
        }
        let request = reading(sendable.request, postrider_github::probe_url);
        let shown = unsealed.redactor.redact(request.url.as_str()).into_owned();
        Ok(Repository { request, shown, webhooks: vec![webhook.webhook.uuid.clone()] })
    }

    /// Whose the value is. Only that it is refused, or taken, says something by itself.
    async fn user(
        &self,
        request: &RenderedRequest,
        found: &mut ProbeFindings,
    ) -> Option<RepositoryAccess> {
        let request = reading(request.clone(), postrider_github::user_url);
        let Reply::Answered { status, headers, body } = self.send(&request).await else {
            return (!self.task.is_whole).then_some(RepositoryAccess::Unknown);
        };
        let code = status.as_u16();
        found.owner = postrider_github::read_user(code, &body);
        if status.is_success() {
            let facts = postrider_github::token_facts(&headers);
            (found.scopes, found.expires_at) = (facts.scopes, facts.expires_at);
        }
        match postrider_github::read_repository(code, &headers, &body, Timestamp::now()) {
            RepositoryAccess::Refused => Some(RepositoryAccess::Refused),
            access => (!self.task.is_whole).then_some(access),
        }
    }

    async fn read(
        &self,
        request: &RenderedRequest,
        found: &mut ProbeFindings,
    ) -> (RepositoryAccess, Option<u16>) {
        let Reply::Answered { status, headers, body } = self.send(request).await else {
            return (RepositoryAccess::Unknown, None);
        };
        if status.is_success() && found.scopes.is_none() && found.expires_at.is_none() {
            let facts = postrider_github::token_facts(&headers);
            (found.scopes, found.expires_at) = (facts.scopes, facts.expires_at);
        }
        let code = status.as_u16();
        let access = postrider_github::read_repository(code, &headers, &body, Timestamp::now());
        (access, Some(code))
    }

    async fn send(&self, request: &RenderedRequest) -> Reply {
        let left = self.until.saturating_duration_since(Instant::now());
        let timeout = self.keeper.context.config.timeout.min(left);
        if timeout.is_zero() {
            return Reply::TimedOut { sent: false };
        }
        attempt::send(&self.keeper.context, request, timeout, &[]).await
    }
}

/// The request with which the same credential reads something else of the same host.
fn reading(mut request: RenderedRequest, url: impl Fn(&Url) -> Url) -> RenderedRequest {
    request.url = url(&request.url);
    request.method = Method::GET;
    request.body = None;
    request.headers.remove(CONTENT_TYPE);
    request
}

/// Whether owner or repository in a webhook's URL are made of the event.
fn repository_varies(url: &str) -> bool {
    let after = url.split_once("/repos/").map_or("", |(_, after)| after);
    after.splitn(3, '/').take(2).any(|part| {
        ["${pactbroker.", "${postrider."].iter().any(|variable| part.contains(variable))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_that_depend_on_the_event_are_known_by_the_template() {
        let root = "https://api.github.com/repos";
        for (url, varies) in [
            (format!("{root}/o/r/dispatches"), false),
            (format!("{root}/o/${{pactbroker.providerName}}/dispatches"), true),
            (format!("{root}/o/r/statuses/${{pactbroker.consumerVersionNumber}}"), false),
            (format!("{root}/${{user.owner}}/r/dispatches"), false),
            ("https://api.github.com/x/${pactbroker.providerName}".to_owned(), false),
        ] {
            assert_eq!(repository_varies(&url), varies, "{url}");
        }
    }

    #[test]
    fn a_probe_tells_of_the_credential_what_it_found() {
        let found = ProbeFindings { owner: Some("octo".to_owned()), ..ProbeFindings::default() };
        let taken = news("a", ProbeVerdict::Ok, &found);
        assert_eq!(taken.github.unwrap().owner.as_deref(), Some("octo"));
        assert_eq!((taken.succeeded, taken.refused), (Some(Duration::ZERO), None));
        let none = ProbeFindings::default();
        let refused = news("a", ProbeVerdict::Refused, &none);
        assert_eq!((refused.github, refused.succeeded), (None, None));
        assert_eq!(refused.refused, Some(Duration::ZERO));
        let unknown = news("a", ProbeVerdict::Unknown, &none);
        assert_eq!((unknown.github, unknown.succeeded, unknown.refused), (None, None, None));
    }
}
