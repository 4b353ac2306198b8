//! Finding placeholders in templates, as far as decisions need it. Filling them in is the
//! render crate's work.

/// What placeholders begin with, after `${`.
const PREFIXES: [&str; 3] = ["pactbroker.", "user.", "postrider."];

/// The text with every placeholder replaced.
pub(crate) fn replace_all(text: &str, replacement: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inner, after)) = next(rest) {
        out.push_str(before);
        let known = PREFIXES.iter().any(|prefix| inner.starts_with(prefix));
        if known {
            out.push_str(replacement);
            rest = after;
        } else {
            // Not a placeholder: the text stays, and another may begin right behind the `${`.
            out.push_str("${");
            rest = rest.get(before.len() + 2..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

/// The name in the first `${user.NAME}` of the text.
pub(crate) fn first_user_name(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((before, inner, _)) = next(rest) {
        // A filter may follow the name.
        let name = inner.strip_prefix("user.").and_then(|name| name.split('|').next());
        if let Some(name) = name.filter(|name| is_secret_name(name)) {
            return Some(name);
        }
        rest = rest.get(before.len() + 2..).unwrap_or_default();
    }
    None
}

/// The text before the next `${`, what is between it and its `}`, and the text after.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (inner, after) = rest.split_once('}')?;
    Some((before, inner, after))
}

pub(crate) fn is_secret_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
