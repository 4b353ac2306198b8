//! A Pact Broker or PactFlow as commands reach it: address, credential, its webhooks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use postrider_broker::{Broker, BrokerAuth, BrokerConfig, BrokerError, path};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::cli::{Exit, Failure};
use crate::config::environment::read_text;
use crate::config::without_newline;

/// Documents fetched at a time: a collection only links to them.
const PARALLEL: usize = 8;

/// Environment variables by name.
pub(crate) type Env = BTreeMap<String, String>;

/// The credential that the broker wants.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BrokerCredential {
    #[arg(
        long,
        value_name = "FILE",
        help = "File with the broker's bearer token [env PACT_BROKER_TOKEN]"
    )]
    pub(crate) broker_token_file: Option<PathBuf>,
    #[arg(
        short = 'u',
        long,
        value_name = "NAME",
        help = "The broker's user name [env PACT_BROKER_USERNAME]"
    )]
    pub(crate) broker_username: Option<String>,
    #[arg(
        long,
        value_name = "FILE",
        help = "File with the broker's password [env PACT_BROKER_PASSWORD]"
    )]
    pub(crate) broker_password_file: Option<PathBuf>,
}

impl BrokerCredential {
    /// A client of the broker at `url`, else at `PACT_BROKER_BASE_URL`; nothing is sent yet.
    pub(crate) fn broker(&self, url: Option<&str>, env: &Env) -> Result<Broker, Failure> {
        let url = url.or_else(|| set(env, "PACT_BROKER_BASE_URL")).ok_or_else(|| {
            Failure::usage("no broker is named").fix("give its address with --broker")
        })?;
        let base = url.parse::<Url>().map_err(|error| {
            // A URL may hold a password, so it is not quoted.
            Failure::usage(format!("the broker's address is no URL: {error}"))
                .fix("write it as https://broker.example")
        })?;
        let mut config = BrokerConfig::new(base);
        config.auth = self.auth(env)?;
        let proxy = set(env, "HTTPS_PROXY").or_else(|| set(env, "https_proxy"));
        config.proxy = proxy.map(SecretString::from);
        config.no_proxy = set(env, "NO_PROXY").or_else(|| set(env, "no_proxy")).map(str::to_owned);
        Broker::new(config).map_err(failure)
    }

    fn auth(&self, env: &Env) -> Result<BrokerAuth, Failure> {
        let token = secret(self.broker_token_file.as_deref(), env, "PACT_BROKER_TOKEN")?;
        if let Some(token) = token {
            return Ok(BrokerAuth::Bearer(token));
        }
        let username = self.broker_username.as_deref().or_else(|| set(env, "PACT_BROKER_USERNAME"));
        let password = secret(self.broker_password_file.as_deref(), env, "PACT_BROKER_PASSWORD")?;
        match (username, password) {
            (Some(username), password) => Ok(BrokerAuth::Basic {
                username: username.to_owned(),
                password: password.unwrap_or_default(),
            }),
            (None, None) => Ok(BrokerAuth::None),
            (None, Some(_)) => Err(Failure::usage("the broker's password has no user name")
                .fix("set PACT_BROKER_USERNAME or give --broker-username")),
        }
    }
}

/// A variable that is set to something.
pub(crate) fn set<'a>(env: &'a Env, name: &str) -> Option<&'a str> {
    env.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
}

/// A secret by the file of a flag, a variable, or the file that `<variable>_FILE` names.
pub(crate) fn secret(
    file: Option<&Path>,
    env: &Env,
    variable: &str,
) -> Result<Option<SecretString>, Failure> {
    let by_variable = set(env, &format!("{variable}_FILE")).map(Path::new);
    let text = match (file, set(env, variable), by_variable) {
        (Some(file), _, _) | (None, None, Some(file)) => read_text(file).map_err(|error| {
            Failure::usage(format!("cannot read {}: {error}", file.display()))
                .fix("name a file that this user can read")
        })?,
        (None, Some(value), _) => value.to_owned(),
        (None, None, None) => return Ok(None),
    };
    let value = without_newline(&text);
    if value.is_empty() { Ok(None) } else { Ok(Some(SecretString::from(value))) }
}

/// What an error of the broker's client means for the command.
pub(crate) fn failure(error: BrokerError) -> Failure {
    let message = error.to_string();
    match error {
        BrokerError::Setup { .. } => Failure::usage(message),
        BrokerError::Away { .. } => Failure::new(Exit::Unreachable, message)
            .fix("check the broker's address, and that it is up"),
        BrokerError::Credential { .. } => Failure::new(Exit::Credential, message).fix(
            "give PACT_BROKER_TOKEN, or PACT_BROKER_USERNAME and PACT_BROKER_PASSWORD, that may \
             write",
        ),
        BrokerError::RateLimited { .. } => Failure::new(Exit::RateLimited, message),
        BrokerError::UnknownName { .. } => Failure::usage(message),
        BrokerError::Unexpected { .. } => Failure::new(Exit::Unreachable, message)
            .fix("check that this is the address of a Pact Broker or PactFlow"),
    }
}

/// Where a webhook is, below the broker's address. Its links may name another address, at which
/// the broker believes to be.
pub(crate) fn webhook_path(uuid: &str) -> String {
    path(&["webhooks", uuid])
}

/// All webhooks of a broker, in its order.
pub(crate) async fn webhooks(broker: &Broker) -> Result<Vec<Value>, Failure> {
    let collection = broker.get_json("/webhooks").await.and_then(|answer| broker.ok(answer));
    let uuids = linked_uuids(&collection.map_err(failure)?);
    let progress = ProgressBar::new(uuids.len() as u64);
    let fetched: Vec<Option<Value>> = stream::iter(&uuids)
        .map(|uuid| async {
            let answer = broker.get_json(&webhook_path(uuid)).await.map_err(failure)?;
            progress.inc(1);
            // Deleted meanwhile.
            if answer.status.as_u16() == 404 {
                return Ok(None);
            }
            broker.ok(answer).map(Some).map_err(failure)
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    progress.finish_and_clear();
    Ok(fetched.into_iter().flatten().collect())
}

/// The uuids that a collection of webhooks links to.
pub(crate) fn linked_uuids(collection: &Value) -> Vec<String> {
    let links = collection.pointer("/_links/pb:webhooks").and_then(Value::as_array);
    let uuid = |link: &Value| {
        let href = link.get("href")?.as_str()?;
        href.trim_end_matches('/').rsplit('/').next().map(str::to_owned)
    };
    links.into_iter().flatten().filter_map(uuid).collect()
}

#[cfg(test)]
mod tests {
    use postrider_broker::BrokerAuth;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn credentials_come_from_variables_and_files() {
        let none = BrokerCredential::default();
        assert!(matches!(none.auth(&env(&[])), Ok(BrokerAuth::None)));
        let token = env(&[("PACT_BROKER_TOKEN", "t"), ("PACT_BROKER_USERNAME", "u")]);
        assert!(matches!(none.auth(&token), Ok(BrokerAuth::Bearer(_))));
        let basic = env(&[("PACT_BROKER_USERNAME", "u"), ("PACT_BROKER_PASSWORD", "p")]);
        assert!(
            matches!(none.auth(&basic), Ok(BrokerAuth::Basic { username, .. }) if username == "u")
        );
        let alone = none.auth(&env(&[("PACT_BROKER_PASSWORD", "p")])).unwrap_err();
        assert_eq!(alone.exit, Exit::Usage);
        let missing = env(&[("PACT_BROKER_TOKEN_FILE", "/nonexistent/token")]);
        assert!(none.auth(&missing).unwrap_err().message.contains("/nonexistent/token"));
    }

    #[test]
    fn an_address_is_needed() {
        let none = BrokerCredential::default();
        assert!(none.broker(None, &env(&[])).is_err());
        assert!(none.broker(Some("nowhere"), &env(&[])).is_err());
        let error = none.broker(Some("https://u:hunter2@h"), &env(&[])).unwrap_err();
        assert!(!error.message.contains("hunter2"), "{error}");
        let env = env(&[("PACT_BROKER_BASE_URL", "https://b.example/")]);
        assert_eq!(none.broker(None, &env).unwrap().address(), "https://b.example");
    }
}
