//! How a command reaches a running postrider.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use postrider_domain::is_loopback;
use postrider_http_client::ProxyRules;
use secrecy::SecretString;
use url::Url;

use crate::access::{admin_listen, listen};
use crate::command::CommandSettings;
use crate::contexts::Context;
use crate::problem::{Problem, Problems};
use crate::reader::{Readable, Reader, Sources};
use crate::settings::Settings;
use crate::value::{Raw, Wrong};
use crate::{parse, proxies};

/// Address and credential.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Where postrider is.
    pub url: Url,
    /// The API token.
    pub token: Option<SecretString>,
    /// Where the token was given.
    pub token_from: Option<String>,
    /// The API token that a broker shall send.
    pub ingest_token: Option<SecretString>,
    /// Proxies, of which an address of this machine needs none.
    pub proxies: ProxyRules,
}

impl ClientSettings {
    /// Reads them. What is wrong with a role's settings is no concern of a client's, misspelt
    /// names aside. Without an address the context says where to, and its token goes nowhere else.
    pub fn resolve(sources: &Sources<'_>, context: Option<&Context>) -> Result<Self, Problems> {
        let mut reader = beside_the_roles(sources);
        let given = CommandSettings::read(&mut reader);
        let listen = listen().read(&mut reader);
        reader.refuse_unknown();
        if let (Ok(given), true) = (given, reader.problems.is_empty()) {
            let CommandSettings { url, token, ingest_token } = given;
            let context = context.filter(|context| url.as_ref().is_none_or(|u| *u == context.url));
            let (token, token_from) = match (token, context) {
                (None, Some(context)) => {
                    (context.token.clone(), Some(format!("the context {}", context.name)))
                }
                (token, _) => (token, reader.origin("TOKEN")),
            };
            let url = url.or_else(|| context.map(|context| context.url.clone()));
            match url
                .or_else(|| reachable(listen.ok()?))
                .map(|url| (proxies_to(&url, sources), url))
            {
                Some((Ok(proxies), url)) => {
                    return Ok(Self { url, token, token_from, ingest_token, proxies });
                }
                Some((Err((name, wrong)), _)) => reader.variable_problem(name, wrong),
                None => {
                    reader.problem("URL", "is not set", "set it to postrider's address");
                }
            }
        }
        Err(Problems(reader.problems))
    }
}

/// The proxies of the environment, which are nothing to an address of this machine.
fn proxies_to(url: &Url, sources: &Sources<'_>) -> Result<ProxyRules, (&'static str, Wrong)> {
    if is_loopback(url) {
        return Ok(ProxyRules::default());
    }
    proxies::proxies_of_environment(sources.env)
        .map_err(|(name, error)| (name, Wrong::new(error.to_string(), proxies::PROXY_FIX)))
}

/// Where a role answers for its health: at the address `given`, else at that of a role on this
/// machine with these settings.
pub(crate) fn admin_url(given: Option<&str>, sources: &Sources<'_>) -> Result<Url, Problems> {
    if let Some(given) = given {
        return parse::http_url(&Raw::Text(given.to_owned())).map_err(|wrong| {
            let (setting, origin) = ("--admin-url".to_owned(), "flag".to_owned());
            Problems(vec![Problem::new(setting, origin, wrong)])
        });
    }
    let mut reader = beside_the_roles(sources);
    let listen = admin_listen().read(&mut reader);
    reader.refuse_unknown();
    if let Ok(listen) = listen {
        if listen.port() == 0 {
            let what = "is 0, a port that only the role itself knows";
            reader.problem("ADMIN_LISTEN", what, "set its port, or use --admin-url");
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
    Settings::read(&mut reader).ok();
    CommandSettings::read(&mut reader).ok();
    reader.problems = of_the_file;
    reader
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
