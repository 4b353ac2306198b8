//! Reading an event straight into its fields, when nothing can be said against it.
//!
//! What is not plainly right – a wrong type, an unknown key, a key given twice, a name that is
//! too long – is left to the careful reader beside this, which finds every fault and names it, or
//! takes the event after all. So no fault needs a name here, and the two agree on what they both
//! take.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use postrider_domain::{Event, Pacticipant};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{DEFAULT_BROKER, MAX_LIST, MAX_NAME, Sent, check_key};

/// Reads one event, or leaves it to the careful reader.
pub(crate) fn read_plain(text: &str) -> Option<Sent> {
    // An escape is the only way to U+0000, which is refused.
    if text.as_bytes().contains(&b'\\') && text.contains("\\u0000") {
        return None;
    }
    let Object(wire): Object<Wire<'_>> = serde_json::from_str(text).ok()?;
    let (Object(consumer), Object(provider)) = (wire.consumer, wire.provider);
    let has_name = |name: &str| !name.is_empty() && name.len() <= MAX_NAME;
    let id_is_fine = wire.id.as_ref().is_none_or(|id| check_key(id).is_ok());
    if !(has_name(&consumer.name) && has_name(&provider.name) && id_is_fine)
        || wire.broker.len() > MAX_NAME
    {
        return None;
    }
    let occurred_at = match wire.occurred_at.as_ref() {
        "" => None,
        text => Some(text.parse().ok()?),
    };
    let event = Event {
        event_name: wire.event_name.parse().ok()?,
        occurred_at,
        broker: if wire.broker.is_empty() { DEFAULT_BROKER.to_owned() } else { wire.broker },
        consumer: consumer.into(),
        provider: provider.into(),
        pact_url: wire.pact_url,
        verification_result_url: wire.verification_result_url,
        verification_success: wire.verification_success,
        build_url: wire.build_url,
        currently_deployed_provider_version_number: wire.currently_deployed_provider_version_number,
    };
    Some(Sent { event, id: wire.id })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    id: Option<String>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow, default)]
    occurred_at: Cow<'a, str>,
    #[serde(default, deserialize_with = "or_empty")]
    broker: String,
    consumer: Object<Consumer>,
    provider: Object<Provider>,
    #[serde(default, deserialize_with = "or_empty")]
    pact_url: String,
    #[serde(default, deserialize_with = "or_empty")]
    verification_result_url: String,
    verification_success: Option<bool>,
    #[serde(default, deserialize_with = "or_empty")]
    build_url: String,
    #[serde(default, deserialize_with = "or_empty")]
    currently_deployed_provider_version_number: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consumer {
    name: String,
    #[serde(default, deserialize_with = "or_empty")]
    version_number: String,
    #[serde(default, deserialize_with = "or_empty")]
    branch: String,
    #[serde(default, deserialize_with = "short_list")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "short_list")]
    labels: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    name: String,
    #[serde(default, deserialize_with = "or_empty")]
    version_number: String,
    #[serde(default, deserialize_with = "or_empty")]
    branch: String,
    #[serde(default, deserialize_with = "short_list")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "short_list")]
    labels: Vec<String>,
    #[serde(default, deserialize_with = "short_list")]
    version_descriptions: Vec<String>,
}

impl From<Consumer> for Pacticipant {
    fn from(side: Consumer) -> Self {
        let Consumer { name, version_number, branch, tags, labels } = side;
        Self { name, version_number, branch, tags, labels, version_descriptions: Vec::new() }
    }
}

impl From<Provider> for Pacticipant {
    fn from(side: Provider) -> Self {
        let Provider { name, version_number, branch, tags, labels, version_descriptions } = side;
        Self { name, version_number, branch, tags, labels, version_descriptions }
    }
}

/// Null counts as missing.
fn or_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list of no more items than an event may have; null counts as missing.
fn short_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::<ShortList>::deserialize(deserializer)
        .map(|list| list.map(|ShortList(items)| items).unwrap_or_default())
}

struct ShortList(Vec<String>);

impl<'de> Deserialize<'de> for ShortList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShortListVisitor)
    }
}

struct ShortListVisitor;

impl<'de> Visitor<'de> for ShortListVisitor {
    type Value = ShortList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() == MAX_LIST {
                return Err(A::Error::custom("too many items"));
            }
            items.push(item);
        }
        Ok(ShortList(items))
    }
}

/// A struct written as an object. By itself serde takes an array of its values too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}
