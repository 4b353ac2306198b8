//! Webhooks and secrets as a worker knows them, by revision.
//!
//! A claim names the revisions that hold now (rule LANE_JOIN); what is cached under an older
//! one is read again before it is used. Values of secrets live here and nowhere else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postrider_domain::{Extensions, LaneId, RequestTemplate, WebhookId, WebhookState, WebhookUuid};
use postrider_render::{CompiledRequest, Redactor};
use postrider_store::{AppSecret, Claim, SecretValues, Secrets, Store, StoreError, StoredWebhook};
use secrecy::{ExposeSecret, SecretString};

/// A webhook ready to be rendered.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) rev: i64,
    pub(crate) uuid: WebhookUuid,
    pub(crate) lane: String,
    pub(crate) request: CompiledRequest,
    stored: StoredWebhook,
}

impl Prepared {
    /// Whether its requests go through this lane.
    pub(crate) fn is_of(&self, lane: LaneId) -> bool {
        self.stored.lane_id == lane
    }

    /// The secret that its lane is named after, if it is one.
    pub(crate) fn own_secret(&self) -> Option<&str> {
        let (_, credential) = self.lane.rsplit_once('/')?;
        self.stored.secret_names.get(credential).map(String::as_str)
    }

    /// Whether a credential goes with its requests, as far as the webhook shows.
    pub(crate) fn has_credential(&self) -> bool {
        !self.lane.ends_with("/none") || !self.stored.secret_names.is_empty()
    }

    /// What it asks for beyond the broker's document.
    pub(crate) fn extensions(&self) -> &Extensions {
        &self.stored.webhook.extensions
    }

    /// Its request as its owner wrote it.
    pub(crate) fn template(&self) -> &RequestTemplate {
        &self.stored.webhook.request
    }

    /// Whether all secrets that a request needs have a value. A previous signing secret may lack.
    pub(crate) fn has_all(&self, values: &SecretValues) -> bool {
        self.needs().all(|name| values.contains_key(name))
    }

    /// The same before an app's token stands for it.
    pub(crate) fn will_have_all(&self, unsealed: &Unsealed) -> bool {
        let Unsealed { values, apps, .. } = unsealed;
        self.needs().all(|name| values.contains_key(name) || apps.contains_key(name))
    }

    fn needs(&self) -> impl Iterator<Item = &String> {
        let signing = self.extensions().signing.iter().map(|signing| &signing.secret);
        self.request.secret_names().iter().chain(signing)
    }

    /// Deleted webhooks, and those that are tested without being saved, are not met again.
    fn is_kept(&self) -> bool {
        self.stored.state != WebhookState::Deleted
    }
}

/// The secrets of one webhook at one revision of its lane's secret.
#[derive(Debug)]
pub(crate) struct Unsealed {
    webhook_rev: i64,
    secret_rev: i64,
    pub(crate) values: SecretValues,
    /// Those in whose place a token of a GitHub App stands.
    pub(crate) apps: BTreeMap<String, Arc<AppSecret>>,
    /// Stars these secrets and the credentials written into the webhook itself.
    pub(crate) redactor: Redactor,
}

/// What a worker remembers. Bounded by the number of webhooks.
#[derive(Debug)]
pub(crate) struct Cache {
    store: Store,
    /// Names of headers and query parameters that are starred beside the usual ones.
    redact_more: Vec<String>,
    prepared: Mutex<HashMap<WebhookId, Arc<Prepared>>>,
    unsealed: Mutex<HashMap<WebhookId, Arc<Unsealed>>>,
}

impl Cache {
    pub(crate) fn new(store: Store, redact_more: Vec<String>) -> Self {
        Self { store, redact_more, prepared: Mutex::default(), unsealed: Mutex::default() }
    }

    /// The claim's webhook at the claim's revision or newer.
    pub(crate) async fn prepared(&self, claim: &Claim) -> Result<Arc<Prepared>, StoreError> {
        let known = locked(&self.prepared).get(&claim.webhook_id).cloned();
        if let Some(known) = known.filter(|known| known.rev >= claim.webhook_rev) {
            return Ok(known);
        }
        let found = self.store.webhooks_by_id(&[claim.webhook_id]).await?;
        let stored = found.into_iter().next().ok_or_else(|| {
            StoreError::Corrupt(format!("delivery {} names a webhook that is not there", claim.id))
        })?;
        let prepared = Arc::new(prepare(stored));
        if prepared.is_kept() {
            locked(&self.prepared).insert(claim.webhook_id, Arc::clone(&prepared));
        }
        Ok(prepared)
    }

    /// The values of the webhook's secrets, read again when the claim's secret is newer.
    pub(crate) async fn unsealed(
        &self,
        claim: &Claim,
        prepared: &Prepared,
    ) -> Result<Arc<Unsealed>, StoreError> {
        let known = locked(&self.unsealed).get(&claim.webhook_id).cloned();
        let fresh = |known: &Arc<Unsealed>| {
            known.secret_rev == claim.secret_rev && known.webhook_rev >= prepared.rev
        };
        if let Some(known) = known.filter(fresh) {
            return Ok(known);
        }
        let secret_rev = claim.secret_rev;
        let unsealed = Arc::new(self.unsealed_now(prepared, secret_rev).await?);
        if prepared.is_kept() {
            locked(&self.unsealed).insert(claim.webhook_id, Arc::clone(&unsealed));
        }
        Ok(unsealed)
    }

    /// The same, read now.
    pub(crate) async fn unsealed_now(
        &self,
        prepared: &Prepared,
        secret_rev: i64,
    ) -> Result<Unsealed, StoreError> {
        let secrets = self.secrets(prepared).await?;
        Ok(unseal(secrets, prepared, secret_rev, &self.redact_more))
    }

    /// The same with another value for one of them, to try it.
    pub(crate) async fn unsealed_to_try(
        &self,
        prepared: &Prepared,
        name: &str,
        value: &SecretString,
    ) -> Result<Unsealed, StoreError> {
        let mut secrets = self.secrets(prepared).await?;
        secrets.apps.remove(name);
        secrets.values.insert(name.to_owned(), value.clone());
        Ok(unseal(secrets, prepared, 0, &self.redact_more))
    }

    async fn secrets(&self, prepared: &Prepared) -> Result<Secrets, StoreError> {
        let stored = &prepared.stored;
        let team = stored.webhook.team_uuid.as_deref();
        self.store.secret_values(&stored.secret_names, team).await
    }

    /// The same with tokens of apps among the values.
    pub(crate) fn with_tokens(
        &self,
        unsealed: &Unsealed,
        prepared: &Prepared,
        tokens: SecretValues,
    ) -> Unsealed {
        let mut values = unsealed.values.clone();
        values.extend(tokens);
        let secrets = Secrets { values, apps: unsealed.apps.clone() };
        unseal(secrets, prepared, unsealed.secret_rev, &self.redact_more)
    }
}

/// Reads a webhook for a probe, without remembering it.
pub(crate) fn prepare(stored: StoredWebhook) -> Prepared {
    Prepared {
        rev: stored.rev,
        uuid: stored.webhook.uuid.clone(),
        lane: stored.lane.clone(),
        request: CompiledRequest::compile(&stored.webhook.request),
        stored,
    }
}

fn unseal(
    Secrets { values, apps }: Secrets,
    prepared: &Prepared,
    secret_rev: i64,
    redact_more: &[String],
) -> Unsealed {
    postrider_telemetry::guard_secrets(values.values().map(ExposeSecret::expose_secret));
    let redactor = Redactor::for_request(&prepared.stored.webhook.request, &values, redact_more);
    Unsealed { webhook_rev: prepared.rev, secret_rev, values, apps, redactor }
}

/// Nothing panics while a lock is held, so a poisoned one still holds whole entries.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
