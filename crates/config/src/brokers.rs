//! Brokers that the monitor asks: `PACT_BROKER_*`, and `[[broker]]` tables of the settings file.

use postrider_broker::BrokerAuth;
use secrecy::SecretString;
use toml::Table;
use url::Url;

use crate::declaration::{Role, variable};
use crate::parse;
use crate::reader::{Given, Reader, Reported};
use crate::section::settings;
use crate::tables::{self, Faults, TableDeclaration, TableKey, field};
use crate::value::Wrong;

/// The broker of the `PACT_BROKER_*` variables, and of events that name none.
const DEFAULT: &str = "default";

const BASE_URL: &str = "PACT_BROKER_BASE_URL";
const TOKEN: &str = "PACT_BROKER_TOKEN";
const USERNAME: &str = "PACT_BROKER_USERNAME";
const PASSWORD: &str = "PACT_BROKER_PASSWORD";

const ASKERS: &[Role] = &[Role::Ingest, Role::Monitor, Role::Command];

settings! {
    /// The broker named default.
    struct BrokerVariables {
        /// Address of the Pact Broker or PactFlow. Without it the other three are nobody's.
        base_url: Given =
            variable(&[BASE_URL], "http or https URL")
                .secret_password()
                .of(ASKERS)
                .example("https://broker.example")
                .unparsed(),
        /// Bearer token for it.
        token: Given =
            variable(&[TOKEN], "text").secret().of(ASKERS).example("$BROKER_TOKEN").unparsed(),
        /// User name for it, in place of a token.
        username: Given = variable(&[USERNAME], "text").of(ASKERS).example("reader").unparsed(),
        /// That user's password.
        password: Given =
            variable(&[PASSWORD], "text").secret().of(ASKERS).example("$BROKER_PASSWORD").unparsed(),
    }
}

const NAME_KEY: TableKey =
    TableKey::new("name", "Its name here: `/hooks/broker/NAME` relays its events", "\"NAME\"");
const BASE_URL_KEY: TableKey =
    TableKey::new("base_url", "Its address", "\"https://broker.example\"");
const TOKEN_FILE_KEY: TableKey =
    TableKey::new("token_file", "File with its bearer token", "\"/run/secrets/broker-token\"");
const USERNAME_KEY: TableKey =
    TableKey::new("username", "User name for it, in place of a token", "\"reader\"");
const PASSWORD_FILE_KEY: TableKey = TableKey::new(
    "password_file",
    "File with that user's password",
    "\"/run/secrets/broker-password\"",
);

/// `[[broker]]`.
pub(crate) const TABLE: TableDeclaration = TableDeclaration {
    name: "broker",
    meaning: "More brokers whose verifications are watched.",
    keys: &[NAME_KEY, BASE_URL_KEY, TOKEN_FILE_KEY, USERNAME_KEY, PASSWORD_FILE_KEY],
};

/// A broker to ask.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// Its name here; `/hooks/broker/{name}` relays its events.
    pub name: String,
    /// Its address.
    pub base_url: Url,
    /// How to prove who asks.
    pub auth: BrokerAuth,
}

/// Reads all of them.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Vec<BrokerSettings>, Reported> {
    let problems = reader.problems.len();
    let variables = BrokerVariables::read(reader)?;
    let mut brokers: Vec<BrokerSettings> = of_variables(reader, &variables).into_iter().collect();
    brokers.extend(tables::read(reader, &TABLE, of_table));
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
fn of_variables(reader: &mut Reader<'_>, variables: &BrokerVariables) -> Option<BrokerSettings> {
    let base_url = parse::http_url(variables.base_url.raw.as_ref()?);
    let secret = |given: &Given| given.text().map(SecretString::from);
    let auth = auth(
        secret(&variables.token),
        variables.username.text(),
        secret(&variables.password),
        [TOKEN, USERNAME, PASSWORD],
    );
    let mut faults = Vec::new();
    let base_url = base_url.map_err(|wrong| faults.push((BASE_URL.to_owned(), wrong))).ok();
    let auth = auth.map_err(|fault| faults.push(fault)).ok();
    for (variable, wrong) in faults {
        reader.variable_problem(&variable, wrong);
    }
    Some(BrokerSettings { name: DEFAULT.to_owned(), base_url: base_url?, auth: auth? })
}

fn of_table(reader: &mut Reader<'_>, table: &Table, faults: &mut Faults) -> Option<BrokerSettings> {
    let name = tables::name(table, NAME_KEY, faults);
    tables::require(table, BASE_URL_KEY, faults);
    let base_url = field(table, BASE_URL_KEY, faults, parse::http_url);
    let of_file = |key, faults: &mut Faults| {
        field(table, key, faults, |raw| reader.file_text(&raw.text()).map(SecretString::from))
    };
    let token = of_file(TOKEN_FILE_KEY, faults);
    let password = of_file(PASSWORD_FILE_KEY, faults);
    let username = field(table, USERNAME_KEY, faults, |raw| Ok(raw.text()));
    if !faults.is_empty() {
        return None;
    }
    let names = [TOKEN_FILE_KEY, USERNAME_KEY, PASSWORD_FILE_KEY].map(|key| key.name);
    let auth = auth(token, username, password, names);
    let auth = auth.map_err(|fault| faults.push(fault)).ok();
    Some(BrokerSettings { name: name?, base_url: base_url?, auth: auth? })
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
