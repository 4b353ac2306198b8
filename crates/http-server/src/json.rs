//! Reading JSON that strangers send: nesting and U+0000 are judged before anything is built.

use serde_json::Value;

/// Brackets within brackets, at most (Pact Broker 2.120: its parser's limit).
pub const MAX_DEPTH: usize = 50;

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
pub enum JsonFault {
    /// Arrays and objects are nested too deeply.
    #[error("is nested {0} levels deep: at most {MAX_DEPTH} are allowed")]
    TooDeep(usize),
    /// It is no JSON.
    #[error("is not valid JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A string holds U+0000.
    #[error("holds the character U+0000: remove it")]
    Nul {
        /// Where, as a JSON pointer.
        pointer: String,
    },
}

/// The text without a byte order mark, which Windows programs write before JSON (RFC 8259 lets
/// readers ignore it).
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Parses a text within the limits.
pub fn parse(text: &str) -> Result<Value, JsonFault> {
    let text = without_mark(text);
    let depth = depth(text.as_bytes());
    if depth > MAX_DEPTH {
        return Err(JsonFault::TooDeep(depth));
    }
    let value = serde_json::from_str(text)?;
    match text.contains("\\u0000").then(|| nul_pointer(&value)).flatten() {
        Some(pointer) => Err(JsonFault::Nul { pointer }),
        None => Ok(value),
    }
}

/// The deepest nesting of brackets outside of strings. Linear and without recursion.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Where the first string, or key, with U+0000 is. Recursion is bounded by [`MAX_DEPTH`].
fn nul_pointer(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(i, item)| nul_pointer(item).map(|rest| format!("/{i}{rest}"))),
        Value::Object(members) => members.iter().find_map(|(key, member)| {
            if key.contains('\0') {
                return Some(pointer_step(&key.replace('\0', "\u{fffd}")));
            }
            nul_pointer(member).map(|rest| format!("{}{rest}", pointer_step(key)))
        }),
    }
}

/// One step of a JSON pointer (RFC 6901).
pub fn pointer_step(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// What kind of JSON value it is, for messages.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        for (text, expected) in
            [("1", 0), ("[]", 1), (r#"{"a":[{}]}"#, 3), (r#"["[[[\"["]"#, 1), ("[[],[[]]]", 3)]
        {
            assert_eq!(depth(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn the_limit_is_inclusive() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(parse(&nested(MAX_DEPTH + 1)), Err(JsonFault::TooDeep(51))));
        assert!(matches!(parse(&"[".repeat(1_000_000)), Err(JsonFault::TooDeep(_))));
    }

    #[test]
    fn nul_is_found_wherever_it_is() {
        let pointer = |text: &str| match parse(text) {
            Err(JsonFault::Nul { pointer }) => Some(pointer),
            Ok(_) | Err(JsonFault::TooDeep(_) | JsonFault::Syntax(_)) => None,
        };
        assert_eq!(pointer(r#"{"a":["x","\u0000"]}"#).as_deref(), Some("/a/1"));
        assert_eq!(pointer(r#"{"a/b":"x\u0000"}"#).as_deref(), Some("/a~1b"));
        assert_eq!(pointer(r#"{"k\u0000":1}"#).as_deref(), Some("/k\u{fffd}"));
        assert_eq!(pointer(r#"{"a":"\\u0000"}"#), None);
    }
}
