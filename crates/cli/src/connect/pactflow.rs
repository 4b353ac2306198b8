//! PactFlow's secrets, as far as the relay needs them (PactFlow's API is documented by its
//! Terraform provider).

use postrider_broker::{Broker, path};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::broker::failure;
use crate::{Exit, Failure};

/// Nesting that is looked through for a name.
const DEEPEST: usize = 8;

/// Makes sure that there is a secret of this name; its value is set when it is new or `rotate`.
pub(super) async fn ensure(
    broker: &Broker,
    name: &str,
    token: Option<&SecretString>,
    rotate: bool,
) -> Result<(), Failure> {
    let answer = broker.get_json("/secrets").await.map_err(|error| failure(&error))?;
    if matches!(answer.status.as_u16(), 404 | 405) {
        return Err(Failure::new(Exit::No, "this broker has no secrets; only PactFlow has")
            .fix("leave out --pactflow-secret: the token becomes the webhook's password"));
    }
    let secrets = broker.ok(answer).map_err(|error| failure(&error))?;
    let existing = uuid_of(&secrets, name, DEEPEST);
    let (Some(token), true) = (token, existing.is_none() || rotate) else {
        return if existing.is_some() { Ok(()) } else { Err(no_value(name)) };
    };
    let document = json!({
        "name": name,
        "description": "postrider's ingest token",
        "value": token.expose_secret(),
    });
    let answer = match existing {
        Some(uuid) => broker.put_json(&path(&["secrets", &uuid]), &document).await,
        None => broker.post_json("/secrets", &document).await,
    };
    answer.and_then(|answer| broker.ok(answer)).map(drop).map_err(|error| failure(&error))
}

fn no_value(name: &str) -> Failure {
    Failure::usage(format!("PactFlow has no secret {name}, and no token is given to make it"))
        .fix("give the token with --ingest-token-file or POSTRIDER_INGEST_TOKEN")
}

/// The last segment of the link of the object that has this name, wherever a collection keeps
/// its items.
fn uuid_of(value: &Value, name: &str, depth: usize) -> Option<String> {
    let below = |item| uuid_of(item, name, depth.checked_sub(1)?);
    match value {
        Value::Array(items) => items.iter().find_map(below),
        Value::Object(members) if members.get("name").is_some_and(|given| given == name) => {
            let uuid = members.get("uuid").and_then(Value::as_str);
            let href = || value.pointer("/_links/self/href").or_else(|| members.get("href"));
            let last = || href()?.as_str()?.trim_end_matches('/').rsplit('/').next();
            uuid.or_else(last).map(str::to_owned)
        }
        Value::Object(members) => members.values().find_map(below),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Names as PactFlow takes them.
pub(super) fn name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= 64;
    if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(text.to_owned())
    } else {
        Err("PactFlow takes letters and digits, 64 at most".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_name_in_any_collection() {
        let link = json!({"self": {"href": "https://h/secrets/abc-1/"}});
        for collection in [
            json!({"_embedded": {"secrets": [{"name": "other"}, {"name": "n", "_links": link}]}}),
            json!({"secrets": [{"name": "n", "uuid": "abc-1"}]}),
            json!({"_links": {"pb:secrets": [{"name": "n", "href": "https://h/secrets/abc-1"}]}}),
        ] {
            assert_eq!(uuid_of(&collection, "n", DEEPEST).as_deref(), Some("abc-1"));
            assert_eq!(uuid_of(&collection, "x", DEEPEST), None);
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(name("postriderToken1").is_ok());
        assert!(name("with-hyphen").is_err());
        assert!(name("").is_err());
    }
}
