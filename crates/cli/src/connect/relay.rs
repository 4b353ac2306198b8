//! The one webhook by which a broker tells postrider everything: what it looks like, and which
//! of a broker's webhooks it is.

use postrider_broker::path;
use postrider_render::BrokerVar;
use serde_json::{Value, json};
use url::Url;

use super::events::Events;
use crate::Failure;

/// User name of the relay's basic authentication; intake looks at the password alone.
pub(super) const USERNAME: &str = "postrider";
/// Path of the intake for relays.
const INTAKE: [&str; 2] = ["hooks", "broker"];
/// Parameter that names the relay itself.
const RELAY: &str = "relay";
/// Longest name of a broker, in bytes.
const MAX_NAME: usize = 255;

/// Where the broker's events shall go.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    /// Intake for relays at the public URL, without query.
    intake: Url,
    name: Option<String>,
}

impl Relay {
    /// The relay of a broker that postrider knows as `name`, else as `default`.
    pub(super) fn new(public: &Url, name: Option<&str>) -> Result<Self, Failure> {
        if public.query().is_some() || public.fragment().is_some() {
            return Err(Failure::usage("the public URL has a query or a fragment")
                .fix("write it as https://postrider.example, with a path at most"));
        }
        let segments: Vec<&str> = INTAKE.into_iter().chain(name).collect();
        let mut intake = public.clone();
        intake.set_path(&format!("{}{}", public.path().trim_end_matches('/'), path(&segments)));
        Ok(Self { intake, name: name.map(str::to_owned) })
    }

    /// Where the events go, without the query.
    pub(super) fn intake(&self) -> &Url {
        &self.intake
    }

    /// Whether the broker would call without TLS.
    pub(super) fn is_http(&self) -> bool {
        self.intake.scheme() == "http"
    }

    /// The URL with every variable. In the query a broker encodes the values, in a body it does
    /// not: a quote in a branch's name would break the JSON.
    ///
    /// `currentlyDeployedProviderVersionNumber` is left out: where a broker looks for it, it
    /// multiplies the event by the versions deployed, and none deployed would mean no event.
    ///
    /// The relay's own uuid stands there, too: equal calls of two relays are one event.
    fn url(&self, uuid: &str) -> String {
        let named = BrokerVar::ALL
            .into_iter()
            .filter(|var| *var != BrokerVar::CurrentlyDeployedProviderVersionNumber)
            .map(|var| format!("{0}=${{pactbroker.{0}}}", var.as_str()));
        let named: Vec<String> = named.chain([format!("{RELAY}={uuid}")]).collect();
        format!("{}?{}", self.intake, named.join("&"))
    }

    /// The document of the webhook of this uuid, for these events, with this basic authentication.
    pub(super) fn document(
        &self,
        uuid: &str,
        events: &Events,
        basic: Option<(&str, &str)>,
    ) -> Value {
        let description = match &self.name {
            None => "postrider: events of this broker".to_owned(),
            Some(name) => format!("postrider: events of this broker, as {name}"),
        };
        let events: Vec<Value> =
            events.iter().map(|name| json!({ "name": name.as_str() })).collect();
        let mut request = json!({
            "method": "POST",
            "url": self.url(uuid),
            "headers": { "Content-Type": "application/json" },
            // Without a body the broker would send the four letters `null`.
            "body": {},
        });
        if let Some((username, password)) = basic {
            request["username"] = json!(username);
            request["password"] = json!(password);
        }
        json!({
            "description": description, "enabled": true, "events": events, "request": request,
        })
    }

    /// Whether a broker's webhook is this relay, whatever else of it was edited: its target is
    /// the same intake, be it over http or https.
    pub(super) fn is(&self, webhook: &Value) -> bool {
        let Some(url) = target(webhook) else { return false };
        url.host() == self.intake.host()
            && url.port() == self.intake.port()
            && url.path().trim_end_matches('/') == self.intake.path()
    }

    /// Whether a broker's webhook says in its URL which one it is.
    pub(super) fn names_itself(webhook: &Value) -> bool {
        let uuid = webhook["uuid"].as_str().unwrap_or_default();
        let names = |url: Url| url.query_pairs().any(|(name, is)| name == RELAY && is == uuid);
        target(webhook).is_some_and(names)
    }
}

fn target(webhook: &Value) -> Option<Url> {
    webhook.pointer("/request/url")?.as_str()?.parse().ok()
}

/// A broker's name, as intake takes it.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(format!("a name has 1 to {MAX_NAME} bytes and no control characters"));
    }
    Ok(text.to_owned())
}

/// A setting that the broker needs for the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerSetting {
    pub(super) variable: &'static str,
    pub(super) value: String,
    pub(super) why: &'static str,
}

/// What has to be set at the broker, or may have to be.
pub(super) fn broker_settings(relay: &Relay) -> Vec<BrokerSetting> {
    let host = relay.intake().host_str().unwrap_or_default().to_owned();
    let http = relay.is_http().then(|| BrokerSetting {
        variable: "PACT_BROKER_WEBHOOK_SCHEME_WHITELIST",
        value: "https http".to_owned(),
        why: "needed: without it a broker refuses http",
    });
    let host = BrokerSetting {
        variable: "PACT_BROKER_WEBHOOK_HOST_WHITELIST",
        value: host,
        why: "needed if the broker has this list; with it the broker also logs what was answered",
    };
    http.into_iter().chain([host]).collect()
}

/// What to set at a broker that refused the webhook with these errors (Pact Broker 2.120:
/// `webhook_request_contract.rb`).
pub(super) fn remedy(errors: &[String], relay: &Relay) -> String {
    // Named by a key, or by a pointer in a problem document.
    let is_of = |error: &str, key: &str| {
        let place = error.split_whitespace().next().unwrap_or_default();
        place.trim_start_matches('/').replace('/', ".").starts_with(key)
    };
    let about = |key: &str, words: &str| {
        errors.iter().any(|error| is_of(error, key) && error.contains(words))
    };
    let host = relay.intake().host_str().unwrap_or_default();
    if about("request.url", "scheme must be") {
        "set PACT_BROKER_WEBHOOK_SCHEME_WHITELIST=\"https http\" at the broker, or put TLS in \
         front of postrider"
            .to_owned()
    } else if about("request.url", "host must be") {
        format!("add {host} to PACT_BROKER_WEBHOOK_HOST_WHITELIST at the broker")
    } else if about("request.method", "must be") {
        "add POST to PACT_BROKER_WEBHOOK_HTTP_METHOD_WHITELIST at the broker".to_owned()
    } else {
        "`postrider connect --dry-run` shows the webhook that it was asked to take".to_owned()
    }
}
