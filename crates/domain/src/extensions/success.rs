//! What a webhook's owner calls a success.

use std::fmt;

use serde_json::Value;

use super::read::Reader;

/// Bytes of a body that are searched, and of a text that is searched for.
const SEARCHED: usize = 64 * 1024;
const MAX_TEXT: usize = 1024;

/// Most status codes of one rule: all that there may be.
const MAX_CODES: usize = 200;

/// A webhook's own rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SuccessRule {
    /// Codes that are a success, in place of the setting and of what a kind of target demands;
    /// 200 to 399.
    pub codes: Option<Vec<u16>>,
    /// `type/subtype` or `type/*`, in lower case.
    pub content_type: Option<String>,
    /// What the body must hold.
    pub body_contains: Option<String>,
    /// What the body must not hold.
    pub body_excludes: Option<String>,
}

/// The part of a rule that an answer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedRule {
    /// The answer is of another type, or says none.
    ContentType,
    /// The text is missing.
    BodyContains,
    /// The text is there.
    BodyExcludes,
}

impl fmt::Display for FailedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContentType => "postrider.success.contentType: the answer is of another type",
            Self::BodyContains => "postrider.success.bodyContains: the text is not in the answer",
            Self::BodyExcludes => "postrider.success.bodyExcludes: the text is in the answer",
        })
    }
}

impl SuccessRule {
    /// What an answer whose status is a success fails, if anything. `content_type` is the header's
    /// value.
    pub fn failed(&self, content_type: Option<&str>, body: &[u8]) -> Option<FailedRule> {
        if self.content_type.as_deref().is_some_and(|wanted| !is_type(wanted, content_type)) {
            return Some(FailedRule::ContentType);
        }
        let searched = body.get(..SEARCHED).unwrap_or(body);
        let text = String::from_utf8_lossy(searched);
        let holds = |part: &Option<String>| part.as_deref().map(|part| text.contains(part));
        match (holds(&self.body_contains), holds(&self.body_excludes)) {
            (Some(false), _) => Some(FailedRule::BodyContains),
            (_, Some(true)) => Some(FailedRule::BodyExcludes),
            (Some(true) | None, Some(false) | None) => None,
        }
    }
}

fn is_type(wanted: &str, given: Option<&str>) -> bool {
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    match wanted.strip_suffix('*') {
        Some(start) => essence.len() > start.len() && essence.starts_with(start),
        None => essence == wanted,
    }
}

pub(super) fn read(reader: &mut Reader, value: &Value) -> Option<SuccessRule> {
    let key = "postrider.success";
    let object = reader.object(key, value)?;
    let known = ["codes", "contentType", "bodyContains", "bodyExcludes"];
    reader.known(key, object, &known);
    let member = |name: &str| object.get(name).filter(|value| !value.is_null());
    let rule = SuccessRule {
        codes: member("codes").and_then(|value| codes(reader, value)),
        content_type: member("contentType").and_then(|value| content_type(reader, value)),
        body_contains: member("bodyContains").and_then(|value| text(reader, "bodyContains", value)),
        body_excludes: member("bodyExcludes").and_then(|value| text(reader, "bodyExcludes", value)),
    };
    if object.values().all(Value::is_null) {
        return reader.fault(key, format!("must have at least one of {}", known.join(", ")));
    }
    Some(rule)
}

fn codes(reader: &mut Reader, value: &Value) -> Option<Vec<u16>> {
    let key = "postrider.success.codes";
    let items = reader.list(key, value, MAX_CODES)?;
    let code = |item: &Value| {
        let code = u16::try_from(item.as_u64()?).ok()?;
        (200..=399).contains(&code).then_some(code)
    };
    let codes: Option<Vec<u16>> = items.iter().map(code).collect();
    codes.or_else(|| reader.fault(key, "must hold whole numbers of 200 to 399"))
}

fn content_type(reader: &mut Reader, value: &Value) -> Option<String> {
    let key = "postrider.success.contentType";
    let text = reader.text(key, value)?.to_ascii_lowercase();
    // RFC 9110, section 5.6.2.
    let is_token = |word: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&b);
        !word.is_empty() && word.bytes().all(fits)
    };
    let is_type = text
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && (subtype == "*" || is_token(subtype)));
    if is_type {
        Some(text)
    } else {
        reader
            .fault(key, "must be a media type without parameters, e.g. application/json or text/*")
    }
}

fn text(reader: &mut Reader, name: &str, value: &Value) -> Option<String> {
    let key = format!("postrider.success.{name}");
    let text = reader.text(&key, value)?;
    if (1..=MAX_TEXT).contains(&text.len()) {
        Some(text.to_owned())
    } else {
        reader.fault(&key, format!("must be a text of 1 to {MAX_TEXT} bytes"))
    }
}
