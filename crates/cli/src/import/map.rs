//! `--map`: which secret stands for a value that the broker stars, or that should not stand in
//! a webhook.

use postrider_domain::{TargetKind, has_stars};
use serde_json::{Map as Object, Value};
use url::Url;

/// One `--map LEFT=RIGHT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Only this webhook, when given as `UUID:LEFT=RIGHT`.
    uuid: Option<String>,
    left: String,
    right: String,
}

impl Mapping {
    /// Reads `HEADER-OR-VALUE=${user.name}`. The last `=` before the first placeholder parts
    /// the two, because values may hold some.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = "write HEADER-OR-VALUE=${user.NAME}, e.g. 'Authorization=Bearer ${user.token}'";
        let placeholder = text.find("${user.").ok_or(wrong)?;
        let (before, _) = text.split_at(placeholder);
        let equals = before.rfind('=').filter(|at| *at > 0).ok_or(wrong)?;
        let (left, right) = text.split_at(equals);
        let right = right.trim_start_matches('=').to_owned();
        // A header's name holds no colon, and a webhook's uuid is longer than other prefixes.
        let (uuid, left) = match left.split_once(':') {
            Some((uuid, left)) if is_uuid(uuid) && !left.is_empty() => (Some(uuid), left),
            Some(_) | None => (None, left),
        };
        Ok(Self { uuid: uuid.map(str::to_owned), left: left.to_owned(), right })
    }

    /// Puts the secret's placeholder where it belongs; whether there was such a place.
    pub(super) fn apply(&self, webhook: &mut Value) -> bool {
        let uuid = webhook.get("uuid").and_then(Value::as_str);
        if self.uuid.as_deref().is_some_and(|wanted| uuid != Some(wanted)) {
            return false;
        }
        let Some(request) = webhook.get_mut("request").and_then(Value::as_object_mut) else {
            return false;
        };
        let is_github = request.get("url").and_then(Value::as_str).is_some_and(is_github);
        let by_name = self.by_name(request, is_github);
        // Starred texts are never values that somebody could mean.
        by_name || (!has_stars(&self.left) && self.by_value(request))
    }

    /// The header of this name, or the password.
    fn by_name(&self, request: &mut Object<String, Value>, is_github: bool) -> bool {
        let headers = request.get_mut("headers").and_then(Value::as_object_mut);
        let header = headers.and_then(|headers| {
            headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(&self.left))
        });
        if let Some((name, value)) = header {
            let with_scheme = is_github && name.eq_ignore_ascii_case("authorization");
            *value = Value::String(self.header_value(with_scheme));
            return true;
        }
        match request.get_mut("password") {
            Some(password) if self.left == "password" => {
                *password = Value::String(self.right.clone());
                true
            }
            Some(_) | None => false,
        }
    }

    /// The stars hide the scheme too. GitHub takes no token without one.
    fn header_value(&self, with_scheme: bool) -> String {
        let is_bare = self.right.starts_with("${") && !self.right.contains(' ');
        if with_scheme && is_bare { format!("Bearer {}", self.right) } else { self.right.clone() }
    }

    /// Every text that holds the value.
    fn by_value(&self, request: &mut Object<String, Value>) -> bool {
        self.replace_in_each(request.iter_mut().map(|(_, value)| value))
    }

    /// Recursion is as deep as the JSON parser let the document be.
    fn replace_in(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) if text.contains(&self.left) => {
                *text = text.replace(&self.left, &self.right);
                true
            }
            Value::Array(items) => self.replace_in_each(items.iter_mut()),
            Value::Object(members) => {
                self.replace_in_each(members.iter_mut().map(|(_, value)| value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }

    /// In all of them, not in the first alone.
    fn replace_in_each<'a>(&self, values: impl Iterator<Item = &'a mut Value>) -> bool {
        let mut found = false;
        for value in values {
            found |= self.replace_in(value);
        }
        found
    }

    /// The left side, for messages about it. A value may be a secret, so only names are shown.
    pub(super) fn shown(&self, number: usize) -> String {
        let is_name = self.left.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        if is_name && self.left.len() <= 32 {
            format!("--map {}=…", self.left)
        } else {
            format!("--map number {number}")
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.parse::<postrider_domain::WebhookUuid>().is_ok()
}

fn is_github(url: &str) -> bool {
    url.parse::<Url>().is_ok_and(|url| TargetKind::of(&url).is_github())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapped(map: &str, request: &Value) -> Option<Value> {
        let mut webhook = json!({ "uuid": "0123456789abcdef", "request": request });
        let applied = Mapping::parse(map).unwrap().apply(&mut webhook);
        applied.then(|| webhook["request"].clone())
    }

    #[test]
    fn headers_are_mapped_whatever_their_case() {
        let request = json!({ "url": "https://h/x", "headers": { "x-plain-token": "**********" } });
        let mapped =
            |map| mapped(map, &request).map(|request| request["headers"]["x-plain-token"].clone());
        assert_eq!(mapped("X-Plain-Token=${user.t}"), Some(json!("${user.t}")));
        assert_eq!(
            mapped("0123456789abcdef:x-plain-token=a ${user.t}"),
            Some(json!("a ${user.t}"))
        );
        assert_eq!(mapped("fedcba9876543210:x-plain-token=${user.t}"), None);
        assert_eq!(mapped("authorization=${user.t}"), None);
    }

    #[test]
    fn github_s_token_gets_its_scheme() {
        let value = |url: &str, map| {
            let request = json!({ "url": url, "headers": { "authorization": "**********" } });
            mapped(map, &request).unwrap()["headers"]["authorization"].clone()
        };
        let github = "https://api.github.com/repos/o/r/dispatches";
        assert_eq!(value(github, "Authorization=${user.t}"), "Bearer ${user.t}");
        assert_eq!(value(github, "Authorization=token ${user.t}"), "token ${user.t}");
        assert_eq!(value("https://h/x", "Authorization=${user.t}"), "${user.t}");
    }

    #[test]
    fn values_are_replaced_wherever_they_stand() {
        let request = json!({
            "url": "https://h/x?key=abc=def", "password": "**********",
            "body": { "a": ["x abc=def y"], "b": 1 },
        });
        let after = mapped("abc=def=${user.k}", &request).unwrap();
        assert_eq!(after["url"], "https://h/x?key=${user.k}");
        assert_eq!(after["body"]["a"][0], "x ${user.k} y");
        let after = mapped("password=${user.p}", &request).unwrap();
        assert_eq!(after["password"], "${user.p}");
        assert_eq!(mapped("absent=${user.p}", &request), None);
        assert_eq!(mapped("**********=${user.p}", &request), None, "stars are no value");
    }

    #[test]
    fn mappings_without_a_secret_are_refused() {
        for wrong in ["Authorization", "Authorization=abc", "=${user.a}", "${user.a}=b"] {
            assert!(Mapping::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            Mapping::parse("Authorization=${user.a}").unwrap().shown(1),
            "--map Authorization=…"
        );
        assert_eq!(Mapping::parse("s3cret=${user.a}").unwrap().shown(2), "--map number 2");
    }
}
