//! The parameters of a relayed call: the broker's variables, from the query string and the body.

use std::collections::BTreeMap;

use http::StatusCode;
use postrider_api::FieldError;
use postrider_http_server::json::{self, kind, pointer_step};
use postrider_http_server::{Problem, query};
use postrider_render::BrokerVar;
use serde_json::Value;

use crate::payload::MAX_LIST;

/// Bytes of a query string; all 20 variables of a usual event take less than 2 KiB.
const MAX_QUERY: usize = 32 * 1024;

/// What every event needs.
const REQUIRED: [BrokerVar; 3] =
    [BrokerVar::EventName, BrokerVar::ConsumerName, BrokerVar::ProviderName];

/// Between the items of a list as the broker renders it.
const SEPARATOR: &str = ", ";

/// The values that were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Params(BTreeMap<BrokerVar, String>);

/// Why a body was not taken.
#[derive(Debug)]
pub(super) enum BodyFault {
    /// It is no JSON object; says what and where.
    Broken(String),
    /// Values of it are of the wrong type.
    Values(Problem),
}

impl Params {
    /// Reads the query string, which a broker encodes without loss. Unknown names are ignored.
    pub(super) fn of_query(query: &str) -> Result<Self, Problem> {
        if query.len() > MAX_QUERY {
            let most = MAX_QUERY / 1024;
            let detail = format!("the query string is larger than {most} KiB: send less");
            return Err(Problem::new(StatusCode::URI_TOO_LONG, detail));
        }
        let mut params = Self::default();
        for pair in query::pairs(query) {
            let (name, value) = pair?;
            let Some(var) = BrokerVar::from_name(&name) else { continue };
            if params.0.contains_key(&var) {
                let detail = format!("the parameter {name} is given twice: give it once");
                return Err(Problem::bad("", detail));
            }
            params.add(var, &value);
        }
        Ok(params)
    }

    /// Adds what the body has and the query has not. An empty value in the query counts: it is
    /// how the broker renders what it does not know, and the body's copy of the same value can
    /// only be worse. No body and `null`, which a broker sends for none, add nothing.
    pub(super) fn add_body(&mut self, body: &[u8]) -> Result<(), BodyFault> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            BodyFault::Broken(format!("is not valid UTF-8: the bytes at offset {at} are none"))
        })?;
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        match json::parse(text) {
            Ok(Value::Null) => Ok(()),
            Ok(Value::Object(members)) => self.add_members(&members),
            Ok(other) => {
                Err(BodyFault::Broken(format!("must be a JSON object, not {}", kind(&other))))
            }
            Err(fault) => Err(BodyFault::Broken(fault.to_string())),
        }
    }

    fn add_members(&mut self, members: &serde_json::Map<String, Value>) -> Result<(), BodyFault> {
        let mut errors = Vec::new();
        for (name, value) in members {
            let Some(var) = BrokerVar::from_name(name) else { continue };
            match value {
                _ if self.0.contains_key(&var) => {}
                Value::Null => {}
                Value::String(text) => self.add(var, text),
                other => {
                    let detail = format!("must be a string, not {}", kind(other));
                    errors.push(FieldError { pointer: pointer_step(name), detail });
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(BodyFault::Values(Problem::fields(errors))) }
    }

    /// A placeholder that the broker left as it was, because it does not know the variable, is
    /// no value.
    fn add(&mut self, var: BrokerVar, value: &str) {
        let inner = value.strip_prefix("${pactbroker.").and_then(|rest| rest.strip_suffix('}'));
        if !inner.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            self.0.insert(var, value.to_owned());
        }
    }

    /// A value; empty when it was not given.
    pub(super) fn get(&self, var: BrokerVar) -> &str {
        self.0.get(&var).map_or("", String::as_str)
    }

    pub(super) fn event_name(&self) -> &str {
        self.get(BrokerVar::EventName)
    }

    pub(super) fn text(&self, var: BrokerVar) -> String {
        self.get(var).to_owned()
    }

    /// The items of a list; joined again they are the text that the broker sent. What is beyond
    /// the most that an event may have stays in the last.
    pub(super) fn list(&self, var: BrokerVar) -> Vec<String> {
        match self.get(var) {
            "" => Vec::new(),
            text => text.splitn(MAX_LIST, SEPARATOR).map(str::to_owned).collect(),
        }
    }

    /// Which of the values that every event needs are not there.
    pub(super) fn missing(&self) -> Vec<BrokerVar> {
        REQUIRED.into_iter().filter(|var| self.get(*var).is_empty()).collect()
    }
}
