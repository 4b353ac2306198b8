//! Tokens in the place of what stands for them in a request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{Answer, AppTargets, Target};
use postrider_github::{Scope, repository};
use postrider_http_client::Trouble;
use postrider_render::{RenderError, Variables, app_misuse};
use postrider_store::{AppSecret, SecretValues};
use secrecy::SecretString;

use super::kept::{AppTokens, InUse, NoToken};
use super::wanted::{Failure, Key, Place, Wanted};
use crate::WorkerConfig;
use crate::cache::{Cache, Prepared, Unsealed};

/// What a request is rendered with.
#[derive(Debug)]
pub(crate) struct Equipped {
    pub(crate) unsealed: Arc<Unsealed>,
    /// The tokens among its values.
    pub(crate) used: Vec<InUse>,
}

/// Why it can't be.
#[derive(Debug)]
pub(crate) enum Unequipped {
    /// No token can stand where the webhook puts it: the secret's name, and why.
    Unusable(String, String),
    /// It can't be rendered whatever the token.
    Render(RenderError),
    /// There is no token, which means this for a request to the target.
    Failed { target: Target, answer: Answer, why: String },
    /// There will be one, but too late for this claim.
    NotInTime,
    /// This machine can't ask for one.
    Local(Trouble),
}

/// Gets the tokens that a request needs; waits for them no longer than `patience`.
pub(crate) async fn equip(
    (tokens, cache, config): (&AppTokens, &Cache, &WorkerConfig),
    prepared: &Prepared,
    unsealed: Arc<Unsealed>,
    variables: &Variables<'_>,
    patience: Duration,
) -> Result<Equipped, Unequipped> {
    if unsealed.apps.is_empty() {
        return Ok(Equipped { unsealed, used: Vec::new() });
    }
    let may = AppTargets { github_hosts: &config.github_hosts, schemes: &config.schemes };
    let is_app = |name: &str| unsealed.apps.contains_key(name);
    if let Some((name, _, why)) =
        app_misuse(prepared.template(), prepared.extensions(), is_app, may)
    {
        return Err(Unequipped::Unusable(name, why));
    }
    let stand_ins = with_stand_ins(&unsealed);
    let rendered = prepared.request.render(variables, &stand_ins, &config.user_agent);
    let url = rendered.map_err(Unequipped::Render)?.url;
    let target = Target::of(&url, &config.github_hosts, true);
    let (mut found, mut used) = (SecretValues::new(), Vec::new());
    for (name, app) in &unsealed.apps {
        let failed = |failure| failed(name, target, failure);
        let wanted = wanted(name, app, url.as_str());
        let key = key(&wanted).map_err(failed)?;
        let token = tokens.token(&key, &wanted, patience).await.map_err(|none| match none {
            NoToken::Failed(failure) => failed(failure),
            NoToken::NotInTime => Unequipped::NotInTime,
        })?;
        found.insert(name.clone(), token.value.clone());
        used.push(InUse { key, number: token.number });
    }
    let unsealed = Arc::new(cache.with_tokens(&unsealed, prepared, found));
    Ok(Equipped { unsealed, used })
}

/// The values, with something in the place of each token, for its URL alone.
fn with_stand_ins(unsealed: &Unsealed) -> BTreeMap<String, SecretString> {
    let mut values = unsealed.values.clone();
    values.extend(unsealed.apps.keys().map(|name| (name.clone(), "stand-in".into())));
    values
}

fn wanted(name: &str, app: &Arc<AppSecret>, url: &str) -> Wanted {
    let repository = repository(url).map(|(owner, repo)| (owner.to_owned(), repo.to_owned()));
    Wanted { name: name.to_owned(), app: Arc::clone(app), repository, need: Scope::of(url) }
}

/// Which token a request needs.
fn key(wanted: &Wanted) -> Result<Key, Failure> {
    let (secret, repository) = (&wanted.app, wanted.repository.as_ref());
    let unusable = |why: &str| Failure::Means {
        answer: Answer::SecretUnusable,
        why: format!("the secret {} is a GitHub App, and {why}", wanted.name),
        need: None,
    };
    let owner = secret.app.owner.as_deref().or(repository.map(|(owner, _)| owner.as_str()));
    let place = match (secret.app.installation_id, owner) {
        (Some(id), _) => Place::Id(id),
        (None, Some(owner)) => Place::Owner(owner.to_lowercase()),
        (None, None) => {
            let why = "the request names no repository whose owner's installation could be used: \
                       set the secret with an installation or an owner";
            return Err(unusable(why));
        }
    };
    let repository = match (secret.app.per_repository, repository) {
        (false, _) => None,
        (true, Some((owner, repo))) => Some(format!("{owner}/{repo}").to_lowercase()),
        (true, None) => {
            return Err(unusable("has a token for each repository, but the request names none"));
        }
    };
    Ok(Key { secret: secret.uuid.clone(), rev: secret.rev, place, repository })
}

fn failed(name: &str, target: Target, failure: Failure) -> Unequipped {
    match failure {
        Failure::Means { answer: Answer::SecretUnusable, why, .. } => {
            Unequipped::Unusable(name.to_owned(), why)
        }
        Failure::Means { answer, why, .. } => Unequipped::Failed { target, answer, why },
        Failure::Local(trouble) => Unequipped::Local(trouble),
    }
}
