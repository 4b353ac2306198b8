//! What GitHub's error bodies say. They are JSON with `message` and `documentation_url`,
//! except when they come from in front of the API: then they are HTML or plain text.

use serde_json::Value;

/// Of a body that is not JSON no more than this is searched.
const LONGEST_TEXT: usize = 64 * 1024;

/// An error body in lower case, for loose comparison: GitHub's wording is not promised.
pub(crate) struct Message {
    text: String,
    documentation: String,
}

impl Message {
    /// Reads a body; a body that can't be read has an empty message.
    pub(crate) fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(members)) => {
                let member = |name: &str| {
                    let found = members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.and_then(|(_, value)| value.as_str()).unwrap_or_default().to_lowercase()
                };
                Self { text: member("message"), documentation: member("documentation_url") }
            }
            Ok(Value::String(text)) => Self::plain(&text),
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
                Self::plain("")
            }
            Err(_) => {
                let start = body.get(..LONGEST_TEXT).unwrap_or(body);
                Self::plain(&String::from_utf8_lossy(start))
            }
        }
    }

    /// The message as GitHub wrote it, for people.
    pub(crate) fn original(body: &[u8]) -> Option<String> {
        let body: Value = serde_json::from_slice(body).ok()?;
        Some(body.get("message")?.as_str()?.to_owned())
    }

    fn plain(text: &str) -> Self {
        Self { text: text.to_lowercase(), documentation: String::new() }
    }

    /// Whether the message contains one of these texts, which are in lower case.
    pub(crate) fn says(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.text.contains(text))
    }

    /// Whether the documentation pointed to ends like one of these, which are in lower case.
    pub(crate) fn points_to(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.documentation.ends_with(ending))
    }
}
