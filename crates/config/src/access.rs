//! Who is let in: addresses, tokens, rates, the key that seals secrets.

use std::net::SocketAddr;

use ipnet::IpNet;
use postrider_domain::Rate;
use postrider_http_server::Tokens;
use postrider_store::MasterKey;
use secrecy::SecretString;
use url::{Host, Url};

use crate::declaration::{
    Defaulted, EVERYBODY, INGEST, INGEST_AND_MONITOR, INGEST_AND_WORKER, Setting,
};
use crate::kinds::{address, http_url, number, rate};
use crate::mode::Mode;
use crate::parse;
use crate::reader::Reader;
use crate::section::settings;
use crate::value::{Raw, Wrong};

const LISTEN: &str = "LISTEN";
const MASTER_KEY: &str = "MASTER_KEY";

/// Where intake and APIs listen.
pub(crate) fn listen() -> Defaulted<SocketAddr> {
    let address = address(LISTEN).of(INGEST).example("0.0.0.0:9393").flag("HOST:PORT");
    address.default("127.0.0.1:9393")
}

/// Where health and metrics are.
pub(crate) fn admin_listen() -> Defaulted<SocketAddr> {
    let address = address("ADMIN_LISTEN").of(EVERYBODY).example("0.0.0.0:9394").flag("HOST:PORT");
    address.default("127.0.0.1:9394")
}

settings! {
    /// Where a process listens.
    pub struct ListenSettings {
        /// Address of intake and APIs. Port 0 takes a free one. Beyond loopback it needs tokens.
        pub listen: SocketAddr = listen(),
        /// Address of health and metrics. They need no token. Port 0 takes a free one.
        pub admin: SocketAddr = admin_listen(),
        /// Where links to this program point; when not set, to where the request went.
        pub base_url: Option<Url> =
            http_url("BASE_URL").of(INGEST_AND_MONITOR).example("https://postrider.example").optional(),
        /// Reverse proxies whose forwarding headers are believed.
        pub trusted_proxies: Vec<IpNet> =
            Setting::new("TRUSTED_PROXIES", "networks, separated by spaces", parse::networks)
                .of(INGEST)
                .example("10.0.0.0/8")
                .default(""),
    }
}

settings! {
    /// How callers are let in.
    pub struct WayInSettings {
        /// Hosts that a process without tokens answers for, beside this machine's and that of
        /// `POSTRIDER_BASE_URL`.
        pub allowed_hosts: Vec<String> =
            Setting::new("ALLOWED_HOSTS", "host names, separated by spaces", hosts)
                .of(INGEST)
                .example("postrider.internal")
                .default(""),
        /// Calls of a token to all but the intake.
        pub api_rate: Rate = rate("API_RATE").of(INGEST).example("50/s").default("unlimited"),
        /// Events of a token.
        pub intake_rate: Rate = rate("INTAKE_RATE").of(INGEST).example("200/s").default("unlimited"),
        /// Connections open at a time; beyond them the one that is idle for longest gives way.
        pub max_connections: usize =
            number("MAX_CONNECTIONS", 16, 100_000).of(INGEST).example("4096").default("1024"),
        /// Headers and query parameters that are starred wherever requests are read, beside the usual
        /// ones.
        pub redact_more: Vec<String> =
            Setting::new("REDACT_MORE", "names, separated by spaces", names)
                .of(INGEST_AND_WORKER)
                .example("x-api-key")
                .default(""),
    }
}

settings! {
    /// Keys and tokens.
    pub struct AccessSettings {
        /// Seals secrets at rest. Embedded mode makes one at its first start; in distributed mode all
        /// processes share it and it has to be set.
        pub master_key: Option<MasterKey> =
            Setting::new(MASTER_KEY, "32 bytes in base64", master_key)
                .secret()
                .example("$(openssl rand -base64 32)")
                .optional(),
        /// Who may do what: roles `ingest`, `read` and `operate`, which covers both, each with a
        /// token that comes as bearer token or password and, before it, the name under which the
        /// audit log tells of its owner. Without any, everybody on this machine may do everything.
        pub tokens: Option<Tokens> =
            Setting::new("API_TOKENS", "role:name:token or role:token, separated by spaces or commas", tokens)
                .of(INGEST)
                .secret()
                .example("operate:ci:$(openssl rand -hex 24)")
                .optional(),
    }
}

fn master_key(raw: &Raw) -> Result<MasterKey, Wrong> {
    MasterKey::from_base64(&SecretString::from(raw.text()))
        .map_err(|what| Wrong::new(what, "make one with `openssl rand -base64 32`"))
}

fn tokens(raw: &Raw) -> Result<Tokens, Wrong> {
    let fix = "write role:name:token or role:token with the roles ingest, read and operate";
    Tokens::parse(&SecretString::from(raw.text())).map_err(|what| Wrong::new(what, fix))
}

pub(crate) fn require_master_key(reader: &mut Reader<'_>, mode: &Mode, access: &AccessSettings) {
    if matches!(mode, Mode::Distributed { .. }) && access.master_key.is_none() {
        reader.problem(
            MASTER_KEY,
            "is missing: in distributed mode all processes share the key that seals secrets",
            "make one with `openssl rand -base64 32` and give it to every process",
        );
    }
}

pub(crate) fn refuse_open_door(
    reader: &mut Reader<'_>,
    listen: &ListenSettings,
    access: &AccessSettings,
) {
    let has_tokens = access.tokens.as_ref().is_some_and(|tokens| !tokens.is_empty());
    if !has_tokens && !listen.listen.ip().to_canonical().is_loopback() {
        reader.problem(
            LISTEN,
            "would let everybody in: it is no loopback address and there are no tokens",
            "set POSTRIDER_API_TOKENS, e.g. operate:$(openssl rand -hex 24), or listen on 127.0.0.1",
        );
    }
}

/// Names or addresses; any port counts.
fn hosts(raw: &Raw) -> Result<Vec<String>, Wrong> {
    let host = |item: &String| {
        Host::parse(item).map(|host| host.to_string()).map_err(|_| {
            Wrong::new(
                format!("{item:?} is no host"),
                "write names without scheme and port, e.g. postrider.internal, separated by spaces",
            )
        })
    };
    raw.items().iter().map(host).collect()
}

fn names(raw: &Raw) -> Result<Vec<String>, Wrong> {
    let is_name = |item: &str| {
        item.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~!#$%&'*+^`|[]".contains(&b))
    };
    let name = |item: &String| {
        if is_name(item) {
            Ok(item.to_ascii_lowercase())
        } else {
            let fix = "write names of headers or query parameters, separated by spaces";
            Err(Wrong::new(format!("{item:?} is no name"), fix))
        }
    };
    raw.items().iter().map(name).collect()
}
