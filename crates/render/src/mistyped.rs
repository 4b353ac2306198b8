//! Keys of a webhook's document that were meant to be other ones.

use postrider_domain::suggestions;
use serde_json::{Map, Value};

/// Keys of a webhook and of its request, those that a broker adds too.
const MEMBERS: [&str; 13] = [
    "uuid",
    "description",
    "enabled",
    "events",
    "consumer",
    "provider",
    "request",
    "teamUuid",
    "postrider",
    "createdAt",
    "updatedAt",
    "warnings",
    "_links",
];
const OF_REQUEST: [&str; 7] =
    ["method", "url", "headers", "body", "bodyMode", "username", "password"];
/// Edits that make a key a mistyped one, and how short it may be.
const EDITS: usize = 2;
const SHORTEST: usize = 4;

/// A key that means nothing, and nearly is one that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistyped {
    /// Where it stands, as a JSON pointer.
    pub pointer: String,
    /// The key that was meant.
    pub near: &'static str,
}

/// Mistyped keys of a webhook's document. A broker takes no notice of keys that it does not know,
/// so its clients may send others; one that is nearly a known one was meant to do something.
pub fn mistyped_keys(webhook: &Value) -> Vec<Mistyped> {
    let of = |object: Option<&Value>, at: &str, known: &'static [&'static str]| -> Vec<Mistyped> {
        let keys = object.and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let unknown = keys.filter(|key| key.len() >= SHORTEST && !known.contains(&key.as_str()));
        let mistyped = unknown.filter_map(|key| {
            let near = known.iter().find(|known| suggestions::distance(key, known) <= EDITS)?;
            let step = key.replace('~', "~0").replace('/', "~1");
            Some(Mistyped { pointer: format!("{at}/{step}"), near })
        });
        mistyped.collect()
    };
    let mut all = of(Some(webhook), "", &MEMBERS);
    all.extend(of(webhook.get("request"), "/request", &OF_REQUEST));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_nearly_a_key_is_one() {
        let webhook = json!({
            "descripton": "d", "x": 1, "vendorExtension": {},
            "request": {"hedaers": {}, "bodyMode": "raw", "note": 1},
        });
        let found = mistyped_keys(&webhook);
        let found: Vec<(&str, &str)> =
            found.iter().map(|one| (one.pointer.as_str(), one.near)).collect();
        assert_eq!(found, [("/descripton", "description"), ("/request/hedaers", "headers")]);
        assert_eq!(mistyped_keys(&json!([])), []);
    }
}
