//! Brokers that the monitor asks: `PACT_BROKER_*`, and `[[broker]]` tables of the settings file.

use postrider_broker::BrokerAuth;
use secrecy::SecretString;
use toml::Table;
use url::Url;

use super::parse;
use super::reader::{Reader, Reported};
use super::tables::{self, Faults, field};
use super::value::{Raw, Show, Wrong};

/// The broker of the `PACT_BROKER_*` variables, and of events that name none.
const DEFAULT: &str = "default";

const BASE_URL: &str = "PACT_BROKER_BASE_URL";
const TOKEN: &str = "PACT_BROKER_TOKEN";
const USERNAME: &str = "PACT_BROKER_USERNAME";
const PASSWORD: &str = "PACT_BROKER_PASSWORD";

const KEYS: [&str; 5] = ["name", "base_url", "token_file", "username", "password_file"];

/// A broker to ask.
#[derive(Debug, Clone)]
pub(crate) struct BrokerSettings {
    /// Its name here; `/hooks/broker/{name}` relays its events.
    pub(crate) name: String,
    /// Its address.
    pub(crate) base_url: Url,
    /// How to prove who asks.
    pub(crate) auth: BrokerAuth,
}

/// Reads all of them.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Vec<BrokerSettings>, Reported> {
    let problems = reader.problems.len();
    let mut brokers: Vec<BrokerSettings> = of_variables(reader).into_iter().collect();
    brokers.extend(tables::read(reader, "broker", of_table));
    let mut names: Vec<&str> = brokers.iter().map(|broker| broker.name.as_str()).collect();
    names.sort_unstable();
    let twice = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next);
    if let Some((name, _)) = twice {
        let what = format!("names {name:?} twice");
        let fix =
            "give each broker a name of its own; \"default\" is the one of PACT_BROKER_BASE_URL";
        reader.file_key_problem("broker", &what, fix);
    }
    if reader.problems.len() == problems { Ok(brokers) } else { Err(Reported) }
}

/// The credential may be set for other programs: without an address it is nobody's.
fn of_variables(reader: &mut Reader<'_>) -> Option<BrokerSettings> {
    let url = reader.foreign_setting(BASE_URL, Show::UrlStars);
    let token = secret(reader, TOKEN);
    let username = reader.foreign_setting(USERNAME, Show::Plain).map(|raw| raw.text());
    let password = secret(reader, PASSWORD);
    let base_url = url_of(&url?);
    let auth = auth(token, username, password, [TOKEN, USERNAME, PASSWORD]);
    let mut faults = Vec::new();
    let base_url = base_url.map_err(|wrong| faults.push((BASE_URL.to_owned(), wrong))).ok();
    let auth = auth.map_err(|fault| faults.push(fault)).ok();
    for (variable, wrong) in faults {
        reader.variable_problem(&variable, wrong);
    }
    Some(BrokerSettings { name: DEFAULT.to_owned(), base_url: base_url?, auth: auth? })
}

fn secret(reader: &mut Reader<'_>, name: &'static str) -> Option<SecretString> {
    reader.foreign_setting(name, Show::Stars).map(|raw| SecretString::from(raw.text()))
}

fn of_table(reader: &mut Reader<'_>, table: &Table, faults: &mut Faults) -> Option<BrokerSettings> {
    tables::refuse_unknown(table, "broker", KEYS, faults);
    let name = tables::name(table, "name", faults);
    if !table.contains_key("base_url") {
        let fix = "write base_url = \"https://broker.example\"";
        faults.push(("base_url".to_owned(), Wrong::new("is missing", fix)));
    }
    let base_url = field(table, "base_url", faults, url_of);
    let of_file = |key, faults: &mut Faults| {
        field(table, key, faults, |raw| reader.file_text(&raw.text()).map(SecretString::from))
    };
    let token = of_file("token_file", faults);
    let password = of_file("password_file", faults);
    let username = field(table, "username", faults, |raw| Ok(raw.text()));
    if !faults.is_empty() {
        return None;
    }
    let auth = auth(token, username, password, ["token_file", "username", "password_file"]);
    let auth = auth.map_err(|fault| faults.push(fault)).ok();
    Some(BrokerSettings { name: name?, base_url: base_url?, auth: auth? })
}

fn url_of(raw: &Raw) -> Result<Url, Wrong> {
    parse::http_url(raw)
}

/// A token, or user name and password, or neither; `names` are what they are called here.
fn auth(
    token: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    names: [&str; 3],
) -> Result<BrokerAuth, (String, Wrong)> {
    let [of_token, of_username, of_password] = names;
    match (token, username, password) {
        (None, None, None) => Ok(BrokerAuth::None),
        (Some(token), None, None) => Ok(BrokerAuth::Bearer(token)),
        (None, Some(username), Some(password)) => Ok(BrokerAuth::Basic { username, password }),
        (Some(_), _, _) => {
            let what = format!("is given together with {of_username} or {of_password}");
            Err((of_token.to_owned(), Wrong::new(what, "keep the token, or the other two")))
        }
        (None, Some(_), None) => {
            let what = format!("is given without {of_password}");
            Err((of_username.to_owned(), Wrong::new(what, format!("set {of_password} too"))))
        }
        (None, None, Some(_)) => {
            let what = format!("is given without {of_username}");
            Err((of_password.to_owned(), Wrong::new(what, format!("set {of_username} too"))))
        }
    }
}
