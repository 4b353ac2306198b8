//! How a command reaches a Pact Broker: the flags and variables of the pact-broker clients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{StringValueParser, TypedValueParser};
use postrider_broker::{Broker, BrokerAuth, BrokerConfig, BrokerError};
use postrider_config::{PROXY_FIX, proxies_of_environment, read_text, without_newline};
use postrider_domain::{is_loopback, parse_duration};
use postrider_http_client::Outbound;
use secrecy::SecretString;
use url::Url;

use crate::{Exit, Failure};

/// Environment variables by name.
pub type Env = BTreeMap<String, String>;

/// Where the broker is, and who asks.
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    #[arg(
        short = 'b',
        long = "broker-base-url",
        value_name = "URL",
        help = "Address of the Pact Broker or PactFlow [env PACT_BROKER_BASE_URL]"
    )]
    base_url: Option<String>,
    #[command(flatten)]
    access: BrokerAccess,
}

/// Who asks a broker, and for how long.
#[derive(Debug, Args)]
pub(crate) struct BrokerAccess {
    #[arg(
        short = 'k',
        long = "broker-token",
        value_name = "TOKEN",
        value_parser = StringValueParser::new().map(SecretString::from),
        conflicts_with = "username",
        help = "Bearer token; better in the environment, where other users can't see it [env PACT_BROKER_TOKEN or PACT_BROKER_TOKEN_FILE]"
    )]
    token: Option<SecretString>,
    /// File with the bearer token
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "username"])]
    broker_token_file: Option<PathBuf>,
    #[arg(
        short = 'u',
        long = "broker-username",
        value_name = "NAME",
        help = "User name for basic auth [env PACT_BROKER_USERNAME]"
    )]
    username: Option<String>,
    #[arg(
        short = 'p',
        long = "broker-password",
        value_name = "PASSWORD",
        value_parser = StringValueParser::new().map(SecretString::from),
        requires = "username",
        help = "Password for basic auth; better in the environment [env PACT_BROKER_PASSWORD or PACT_BROKER_PASSWORD_FILE]"
    )]
    password: Option<SecretString>,
    /// Longest wait for one answer of the broker
    #[arg(long = "broker-timeout", value_name = "TIME", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
}

fn timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(time) if (Duration::from_millis(1)..=Duration::from_mins(10)).contains(&time) => {
            Ok(time)
        }
        Ok(_) => Err("write 1ms to 10m, e.g. 30s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl BrokerArgs {
    /// Prepares to call; nothing is sent yet.
    pub(crate) fn connect(&self, env: &Env) -> Result<Broker, Failure> {
        self.access.connect(self.base_url.as_deref(), env)
    }
}

impl BrokerAccess {
    /// A client of the broker at this URL, else at `PACT_BROKER_BASE_URL`; nothing is sent yet.
    pub(crate) fn connect(&self, url: Option<&str>, env: &Env) -> Result<Broker, Failure> {
        let mut config = BrokerConfig::new(base_url(url, env)?);
        config.auth = self.auth(env)?;
        config.auth_from = self.auth_from(env).map(str::to_owned);
        config.timeout = self.timeout;
        if !is_loopback(&config.base_url) {
            config.outbound = outbound(env)?;
        }
        Broker::new(config).map_err(|error| failure(&error))
    }

    /// The same broker, to which no credential is sent.
    pub(crate) fn without_credential(
        &self,
        url: Option<&str>,
        env: &Env,
    ) -> Result<Broker, Failure> {
        let mut config = BrokerConfig::new(base_url(url, env)?);
        config.timeout = self.timeout;
        if !is_loopback(&config.base_url) {
            config.outbound = outbound(env)?;
        }
        Broker::new(config).map_err(|error| failure(&error))
    }

    /// Flags win over the environment as a whole, so that a flag's user never meets another's
    /// token.
    fn auth(&self, env: &Env) -> Result<BrokerAuth, Failure> {
        if let Some(token) = &self.token {
            return Ok(BrokerAuth::Bearer(token.clone()));
        }
        if let Some(file) = &self.broker_token_file {
            return read_secret("--broker-token-file", file).map(BrokerAuth::Bearer);
        }
        let password = match &self.password {
            Some(password) => Some(password.clone()),
            None => secret_setting(env, "PACT_BROKER_PASSWORD")?,
        };
        if let Some(username) = self.username.clone() {
            return Ok(BrokerAuth::Basic { username, password: password.unwrap_or_default() });
        }
        let token = secret_setting(env, "PACT_BROKER_TOKEN")?;
        match (token, set(env, "PACT_BROKER_USERNAME"), password) {
            (Some(_), Some(_), _) => {
                Err(Failure::usage("PACT_BROKER_TOKEN and PACT_BROKER_USERNAME are both set")
                    .fix("unset one of them, or choose with -k or -u"))
            }
            (Some(token), None, _) => Ok(BrokerAuth::Bearer(token)),
            (None, Some(username), password) => {
                Ok(BrokerAuth::Basic { username, password: password.unwrap_or_default() })
            }
            (None, None, Some(_)) => {
                Err(Failure::usage("PACT_BROKER_PASSWORD is set without a user name")
                    .fix("set PACT_BROKER_USERNAME, or give -u"))
            }
            (None, None, None) => Ok(BrokerAuth::None),
        }
    }
}

impl BrokerAccess {
    /// Where [`Self::auth`] has it from.
    fn auth_from(&self, env: &Env) -> Option<&'static str> {
        let of_variable = |names: [&'static str; 2]| {
            names.into_iter().find(|name| env.get(*name).is_some_and(|value| !value.is_empty()))
        };
        let flags = [
            (self.token.is_some(), "--broker-token"),
            (self.broker_token_file.is_some(), "--broker-token-file"),
            (self.username.is_some(), "--broker-username"),
        ];
        let flag = flags.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name);
        flag.or_else(|| of_variable(["PACT_BROKER_TOKEN", "PACT_BROKER_TOKEN_FILE"]))
            .or_else(|| of_variable(["PACT_BROKER_USERNAME", "PACT_BROKER_PASSWORD"]))
    }
}

/// The proxies of the environment.
fn outbound(env: &Env) -> Result<Outbound, Failure> {
    let proxies = proxies_of_environment(env)
        .map_err(|(name, error)| Failure::usage(format!("{name} {error}")).fix(PROXY_FIX))?;
    Ok(Outbound::new(Vec::new(), proxies))
}

fn base_url(url: Option<&str>, env: &Env) -> Result<Url, Failure> {
    let flag = url.map(str::to_owned);
    let Some(text) = flag.or_else(|| set(env, "PACT_BROKER_BASE_URL")) else {
        return Err(Failure::usage("no Pact Broker is named")
            .fix("give its address with -b or PACT_BROKER_BASE_URL"));
    };
    // The text may hold a password, so it is not quoted.
    text.trim().parse().map_err(|error| {
        Failure::usage(format!("the broker's base URL is no URL: {error}"))
            .fix("write -b https://broker.example, or PACT_BROKER_BASE_URL")
    })
}

/// A variable that is set to something.
fn set(env: &Env, name: &str) -> Option<String> {
    env.get(name).filter(|value| !value.is_empty()).cloned()
}

/// A secret: the variable, or the file that `<NAME>_FILE` names.
pub(crate) fn secret_setting(env: &Env, name: &str) -> Result<Option<SecretString>, Failure> {
    let file_name = format!("{name}_FILE");
    match (set(env, name), set(env, &file_name)) {
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("{name} and {file_name} are both set"))
                .fix("unset one of them"))
        }
        (Some(value), None) => Ok(Some(SecretString::from(value))),
        (None, Some(path)) => read_secret(&file_name, Path::new(&path)).map(Some),
        (None, None) => Ok(None),
    }
}

fn read_secret(given_as: &str, path: &Path) -> Result<SecretString, Failure> {
    let text = read_text(path).map_err(|error| {
        Failure::usage(format!("{given_as}: cannot read {}: {error}", path.display()))
            .fix("name a readable file")
    })?;
    Ok(SecretString::from(without_newline(&text)))
}

/// What the broker's trouble means for whoever called the command.
pub(crate) fn failure(error: &BrokerError) -> Failure {
    let message = error.to_string();
    match error {
        BrokerError::Setup { .. } => {
            Failure::usage(message).fix("check -b, -k, -u, -p and the PACT_BROKER_* variables")
        }
        BrokerError::Away { .. } => Failure::new(Exit::Unreachable, message)
            .fix("check that the broker is up, and its address: -b or PACT_BROKER_BASE_URL"),
        BrokerError::Credential { .. } => Failure::new(Exit::Credential, message).fix(
            "set PACT_BROKER_TOKEN, or PACT_BROKER_USERNAME and PACT_BROKER_PASSWORD, to a \
             credential that may do this",
        ),
        BrokerError::RateLimited { .. } => {
            Failure::new(Exit::RateLimited, message).fix("try again later")
        }
        BrokerError::UnknownName { .. } => {
            Failure::usage(message).fix("write the names as the broker shows them")
        }
        BrokerError::Unexpected { .. } => Failure::new(Exit::Unreachable, message)
            .fix("check that -b or PACT_BROKER_BASE_URL is the address of a Pact Broker"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        broker: BrokerArgs,
    }

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn auth(flags: &[&str], pairs: &[(&str, &str)]) -> Result<String, Failure> {
        let line = Line::parse_from([&["test"], flags].concat());
        line.broker.access.auth(&env(pairs)).map(|auth| match auth {
            BrokerAuth::None => "none".to_owned(),
            BrokerAuth::Bearer(token) => format!("bearer {}", token.expose_secret()),
            BrokerAuth::Basic { username, password } => {
                format!("basic {username}:{}", password.expose_secret())
            }
        })
    }

    #[test]
    fn flags_win_over_the_environment() {
        let token = ("PACT_BROKER_TOKEN", "env");
        let user = ("PACT_BROKER_USERNAME", "u");
        let password = ("PACT_BROKER_PASSWORD", "p");
        for (flags, pairs, expected) in [
            (&[][..], &[][..], "none"),
            (&[], &[token], "bearer env"),
            (&[], &[user, password], "basic u:p"),
            (&["-k", "flag"], &[token, user], "bearer flag"),
            (&["-u", "me", "-p", "mine"], &[token, password], "basic me:mine"),
            (&["-u", "me"], &[password], "basic me:p"),
            (&[], &[user], "basic u:"),
        ] {
            assert_eq!(auth(flags, pairs).unwrap(), expected, "{flags:?} {pairs:?}");
        }
        assert_eq!(auth(&[], &[token, user]).unwrap_err().exit, Exit::Usage);
        assert_eq!(auth(&[], &[password]).unwrap_err().exit, Exit::Usage);
        assert_eq!(
            auth(&[], &[token, ("PACT_BROKER_TOKEN_FILE", "/x")]).unwrap_err().exit,
            Exit::Usage
        );
    }

    #[test]
    fn secrets_may_be_in_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from-file\n").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(auth(&[], &[("PACT_BROKER_TOKEN_FILE", path)]).unwrap(), "bearer from-file");
        assert_eq!(auth(&["--broker-token-file", path], &[]).unwrap(), "bearer from-file");
        let missing = auth(&[], &[("PACT_BROKER_TOKEN_FILE", "/does/not/exist")]).unwrap_err();
        assert!(missing.message.contains("PACT_BROKER_TOKEN_FILE"), "{missing}");
    }

    #[test]
    fn nothing_shows_a_secret() {
        let line = Line::parse_from(["test", "-u", "me", "-p", "hunter2"]);
        assert!(!format!("{line:?}").contains("hunter2"));
        let line = Line::parse_from(["test", "-b", "https://u:hunter2@h", "-k", "hunter3"]);
        let error = line.broker.connect(&env(&[])).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
    }
}
