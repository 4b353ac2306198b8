//! Proxies: variables that curl and others read too. The lower-case name wins over the
//! upper-case one; unlike curl, `HTTP_PROXY` counts also in upper case, for no web server hands
//! a request's headers to this program as variables.

use std::collections::BTreeMap;

use postrider_http_client::{InvalidProxy, Proxy, ProxyRules};

use crate::declaration::{Role, Setting, in_either_case};
use crate::reader::{Given, Reader, Reported};
use crate::section::settings;
use crate::value::{Raw, Wrong};

/// A variable in both its spellings.
#[derive(Debug, Clone, Copy)]
struct Variable {
    lower: &'static str,
    upper: &'static str,
}

const HTTP: Variable = Variable { lower: "http_proxy", upper: "HTTP_PROXY" };
const HTTPS: Variable = Variable { lower: "https_proxy", upper: "HTTPS_PROXY" };
const ALL: Variable = Variable { lower: "all_proxy", upper: "ALL_PROXY" };
const NO: Variable = Variable { lower: "no_proxy", upper: "NO_PROXY" };

const SENDERS: &[Role] = &[Role::Worker, Role::Monitor, Role::Command];

settings! {
    /// Proxies of all requests that leave.
    struct ProxyVariables {
        /// Proxy for http URLs.
        http: Given = of_proxy(HTTP).unparsed(),
        /// Proxy for https URLs.
        https: Given = of_proxy(HTTPS).unparsed(),
        /// Proxy for both, where none of their own is set.
        all: Given = of_proxy(ALL).unparsed(),
        /// Hosts and networks that are reached directly.
        no_proxy: Given =
            in_either_case(NO.lower, NO.upper, "hosts, separated by commas")
                .of(SENDERS)
                .example("localhost,.internal,10.0.0.0/8")
                .unparsed(),
    }
}

fn of_proxy(variable: Variable) -> Setting<()> {
    in_either_case(variable.lower, variable.upper, "URL of a proxy")
        .secret_password()
        .of(SENDERS)
        .example("http://proxy.example:3128")
}

/// How one is written.
pub const PROXY_FIX: &str = "write http://host:port or https://host:port, with user:password@ before \
                             the host if it wants them";

/// Reads them as settings.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<ProxyRules, Reported> {
    let given = ProxyVariables::read(reader)?;
    let [http, https, all] =
        [&given.http, &given.https, &given.all].map(|given| given.parse(reader, proxy));
    Ok(ProxyRules::new(http?, https?, all?, given.no_proxy.text().as_deref()))
}

fn proxy(raw: &Raw) -> Result<Proxy, Wrong> {
    Proxy::parse(&raw.text()).map_err(|error| Wrong::new(error.to_string(), PROXY_FIX))
}

/// Reads them where there are no other settings; the error names the variable.
pub fn proxies_of_environment(
    env: &BTreeMap<String, String>,
) -> Result<ProxyRules, (&'static str, InvalidProxy)> {
    let get = |name: &'static str| {
        let value = env.get(name).filter(|value| !value.trim().is_empty())?;
        Some((name, value.as_str()))
    };
    let either = |variable: Variable| get(variable.lower).or_else(|| get(variable.upper));
    let proxy = |variable| match either(variable) {
        None => Ok(None),
        Some((name, text)) => Proxy::parse(text).map(Some).map_err(|error| (name, error)),
    };
    let no_proxy = either(NO).map(|(_, value)| value);
    Ok(ProxyRules::new(proxy(HTTP)?, proxy(HTTPS)?, proxy(ALL)?, no_proxy))
}
