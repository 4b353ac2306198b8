//! What a webhook may ask for beyond what a Pact Broker knows: the key `postrider` of its
//! document.

mod fault;
mod read;
mod success;
mod when;

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use fault::ExtensionFault;
pub use success::{FailedRule, SuccessRule};
pub use when::{KeptOut, Pattern, When, WhenKey};

use crate::RetryPolicy;
use read::Reader;

/// Shortest time-out of a webhook's request.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Most steps of a webhook's own schedule, and the longest of them.
const MAX_STEPS: usize = 20;
const LONGEST_STEP: Duration = Duration::from_hours(24);

/// A webhook's own rules. Empty when its document has none. It is written as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// Which events it is for, beside name, consumer and provider; `None` is all.
    pub when: Option<When>,
    /// What a success is; `None` leaves it to settings and target.
    pub success: Option<SuccessRule>,
    /// Connect and total, 1 to 60 s; `None` is the setting's.
    pub timeout: Option<Duration>,
    /// Its own schedule; `None` is the setting's.
    pub retry: Option<RetryPolicy>,
    /// Signs what is sent.
    pub signing: Option<Signing>,
    /// The document as it was given.
    given: Map<String, Value>,
}

/// The secrets that sign a webhook's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// Name of the secret that signs.
    pub secret: String,
    /// Name of the one before, which signs too while receivers change over.
    pub previous: Option<String>,
}

impl Extensions {
    /// Longest time-out that a webhook may have.
    pub const LONGEST_TIMEOUT: Duration = Duration::from_mins(1);

    /// Reads the value of `postrider`.
    ///
    /// # Errors
    /// All faults, in the order found.
    pub fn read(value: &Value) -> Result<Self, Vec<ExtensionFault>> {
        let mut reader = Reader::default();
        let Some(object) = reader.object("postrider", value) else {
            return Err(reader.faults);
        };
        let known = ["when", "success", "timeout", "retrySchedule", "signing"];
        reader.known("postrider", object, &known);
        let member = |name: &str| object.get(name).filter(|value| !value.is_null());
        let extensions = Self {
            when: member("when").and_then(|value| when::read(&mut reader, value)),
            success: member("success").and_then(|value| success::read(&mut reader, value)),
            timeout: member("timeout").and_then(|value| timeout(&mut reader, value)),
            retry: member("retrySchedule").and_then(|value| schedule(&mut reader, value)),
            signing: member("signing").and_then(|value| signing(&mut reader, value)),
            given: object.clone(),
        };
        if reader.faults.is_empty() { Ok(extensions) } else { Err(reader.faults) }
    }

    /// The document as it was given; `None` when there is none.
    pub fn document(&self) -> Option<&Map<String, Value>> {
        Some(&self.given).filter(|given| !given.is_empty())
    }

    /// Names of the secrets that sign.
    pub fn secret_names(&self) -> impl Iterator<Item = &String> {
        self.signing
            .iter()
            .flat_map(|signing| [Some(&signing.secret), signing.previous.as_ref()])
            .flatten()
    }
}

impl Serialize for Extensions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.given.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(&value).map_err(|faults| {
            let first =
                faults.into_iter().next().map(|fault| format!("{} {}", fault.key, fault.message));
            serde::de::Error::custom(first.unwrap_or_default())
        })
    }
}

fn timeout(reader: &mut Reader, value: &Value) -> Option<Duration> {
    let key = "postrider.timeout";
    let timeout = reader.duration(key, value)?;
    if (SHORTEST_TIMEOUT..=Extensions::LONGEST_TIMEOUT).contains(&timeout) {
        Some(timeout)
    } else {
        reader.fault(key, "must be 1s to 60s")
    }
}

fn schedule(reader: &mut Reader, value: &Value) -> Option<RetryPolicy> {
    let key = "postrider.retrySchedule";
    let text = reader.text(key, value)?;
    let policy = match text.parse::<RetryPolicy>() {
        Ok(policy) => policy,
        Err(error) => return reader.fault(key, error.to_string()),
    };
    if !(1..=MAX_STEPS).contains(&policy.schedule.len()) {
        return reader.fault(key, format!("must have 1 to {MAX_STEPS} steps, e.g. \"10 60 600\""));
    }
    if policy.schedule.iter().any(|step| *step > LONGEST_STEP) {
        return reader.fault(key, "must have no step longer than 24h");
    }
    Some(policy)
}

fn signing(reader: &mut Reader, value: &Value) -> Option<Signing> {
    let key = "postrider.signing";
    let object = reader.object(key, value)?;
    reader.known(key, object, &["secret", "previous"]);
    let mut name = |member: &str, value: &Value| {
        let key = format!("{key}.{member}");
        let text = reader.text(&key, value)?;
        let name = text.strip_prefix("${user.").and_then(|rest| rest.strip_suffix('}'));
        match name.filter(|name| crate::placeholder::is_secret_name(name)) {
            Some(name) => Some(name.to_owned()),
            None => reader.fault(&key, "must be one secret and nothing else: ${user.NAME}"),
        }
    };
    let previous = object.get("previous").filter(|value| !value.is_null());
    let previous = previous.map(|value| name("previous", value));
    let secret = match object.get("secret") {
        None | Some(Value::Null) => reader.fault("postrider.signing.secret", "is missing"),
        Some(value) => name("secret", value),
    };
    Some(Signing { secret: secret?, previous: previous.flatten() })
}

#[cfg(test)]
mod tests;
