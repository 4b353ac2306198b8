//! How a command reaches a running postrider.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use secrecy::SecretString;
use url::Url;

use super::parse;
use super::problem::{Problem, Problems};
use super::reader::{Key, Reader, Reported, Sources};
use super::sections::{self, ADMIN_LISTEN, LISTEN};
use super::value::{Raw, Show, Wrong};

const URL: Key = Key::plain("URL");
const TOKEN: Key = Key { ending: "TOKEN", fallbacks: &[], show: Show::Stars };

/// What a broker sends as its password; `postrider connect` alone uses it.
const INGEST_TOKEN: Key = Key { ending: "INGEST_TOKEN", fallbacks: &[], show: Show::Stars };

/// Address and credential.
#[derive(Debug, Clone)]
pub(crate) struct ClientSettings {
    /// Where postrider is.
    pub(crate) url: Url,
    /// The API token.
    pub(crate) token: Option<SecretString>,
    /// The API token that a broker shall send.
    pub(crate) ingest_token: Option<SecretString>,
}

/// What is set of them.
pub(crate) struct Given {
    url: Option<Url>,
    token: Option<SecretString>,
    ingest_token: Option<SecretString>,
}

impl ClientSettings {
    /// Reads them. What is wrong with a role's settings is no concern of a client's, misspelt
    /// names aside.
    pub(crate) fn resolve(sources: &Sources<'_>) -> Result<Self, Problems> {
        let mut reader = beside_the_roles(sources);
        let client = read(&mut reader);
        let listen = reader.get(LISTEN, sections::DEFAULT_LISTEN, parse::listen);
        reader.refuse_unknown();
        let listen = listen.ok().and_then(reachable);
        if let (Ok(Given { url, token, ingest_token }), true) = (client, reader.problems.is_empty())
        {
            if let Some(url) = url.or(listen) {
                return Ok(Self { url, token, ingest_token });
            }
            reader.setting_problem(URL, "is not set", "set it to postrider's address");
        }
        Err(Problems(reader.problems))
    }
}

/// Where a role answers for its health: at the address `given`, else at that of a role on this
/// machine with these settings.
pub(crate) fn admin_url(given: Option<&str>, sources: &Sources<'_>) -> Result<Url, Problems> {
    if let Some(given) = given {
        return parse::http_url(&Raw::Text(given.to_owned())).map_err(|Wrong { what, fix }| {
            let setting = "--admin-url".to_owned();
            Problems(vec![Problem { setting, origin: "flag".to_owned(), what, fix }])
        });
    }
    let mut reader = beside_the_roles(sources);
    let listen = reader.get(ADMIN_LISTEN, sections::DEFAULT_ADMIN_LISTEN, parse::listen);
    reader.refuse_unknown();
    if let Ok(listen) = listen {
        if listen.port() == 0 {
            let what = "is 0, a port that only the role itself knows";
            reader.setting_problem(ADMIN_LISTEN, what, "set its port, or use --admin-url");
        }
        if let (Some(url), true) = (reachable(listen), reader.problems.is_empty()) {
            return Ok(url);
        }
    }
    Err(Problems(reader.problems))
}

/// A reader that knows the names of all settings, and no problems but those of the file.
fn beside_the_roles<'a>(sources: &Sources<'a>) -> Reader<'a> {
    let mut reader = Reader::new(*sources);
    let of_the_file = reader.problems.clone();
    sections::read(&mut reader).ok();
    read(&mut reader).ok();
    reader.problems = of_the_file;
    reader
}

/// Reads the settings of clients.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Given, Reported> {
    let url = reader.optional(URL, parse::http_url);
    let client_token = reader.optional(TOKEN, token);
    let ingest_token = reader.optional(INGEST_TOKEN, token);
    Ok(Given { url: url?, token: client_token?, ingest_token: ingest_token? })
}

fn token(raw: &Raw) -> Result<SecretString, Wrong> {
    let text = raw.text();
    // It becomes a header's value.
    if text.is_empty() || text.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
        return Err(Wrong::new(
            "is no token: it is empty or holds spaces, line breaks or non-ASCII characters",
            "give the token alone, without its role",
        ));
    }
    Ok(SecretString::from(text))
}

/// The address at which something that listens on `listen` can be reached from this machine.
fn reachable(listen: SocketAddr) -> Option<Url> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Url::parse(&format!("http://{}", SocketAddr::new(ip, listen.port()))).ok()
}
