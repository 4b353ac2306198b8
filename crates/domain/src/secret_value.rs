//! What a secret's value may be: something that can stand in one line of a request.

/// Why a text is no value of a secret. Says nothing of the text itself but a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Nothing is left.
    #[error("the value is empty")]
    Empty,
    /// No header and no credential holds one.
    #[error(
        "character {position} of the value is a control character, which no request can carry: \
         was it pasted over several lines?"
    )]
    ControlCharacter {
        /// Counted from 1.
        position: usize,
    },
}

/// The value as it is stored: without the newlines and blanks that editors and shells put at its
/// end, and without the byte order mark that some put at its beginning.
///
/// # Errors
/// [`InvalidSecret`]: it can't be used.
pub fn secret_value(text: &str) -> Result<&str, InvalidSecret> {
    let value = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value = value.trim_end_matches([' ', '\t', '\r', '\n']);
    if value.is_empty() {
        return Err(InvalidSecret::Empty);
    }
    match value.chars().position(char::is_control) {
        Some(at) => Err(InvalidSecret::ControlCharacter { position: at + 1 }),
        None => Ok(value),
    }
}

/// What was probably copied along with a value, in words for the one who set it.
pub fn secret_warnings(value: &str) -> Vec<String> {
    let schemes = ["bearer", "token", "basic", "digest", "apikey"];
    let scheme = value.split_once(' ').map(|(word, _)| word);
    let scheme = scheme.filter(|word| schemes.iter().any(|known| known.eq_ignore_ascii_case(word)));
    let mut warnings = Vec::new();
    if let Some(scheme) = scheme {
        warnings.push(format!(
            "the value begins with \"{scheme} \": if the webhook writes {scheme} ${{user.NAME}}, \
             it is sent twice"
        ));
    }
    if ['"', '\'', '`']
        .iter()
        .any(|quote| value.len() > 1 && value.starts_with(*quote) && value.ends_with(*quote))
    {
        warnings.push("the value stands in quotes, which are sent with it".to_owned());
    }
    if value.starts_with(char::is_whitespace) {
        warnings.push("the value begins with a blank, which is sent with it".to_owned());
    }
    let is_unseen = |c: char| {
        matches!(c, '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    if value.contains(is_unseen) {
        warnings
            .push("the value holds characters that can't be seen, which are sent with it".into());
    }
    if !value.is_empty() && value.chars().all(|c| c == '*') {
        warnings
            .push("the value is nothing but stars, as they stand where secrets are shown".into());
    }
    if value.contains("${") {
        warnings
            .push("the value holds \"${\", which is sent as it is: it names no variable".into());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_at_the_end_by_accident_is_left_out() {
        for text in ["abc", "abc\n", "abc\n\n", "abc\r\n", "abc \t\r\n \n", "\u{feff}abc\r\n"] {
            assert_eq!(secret_value(text), Ok("abc"), "{text:?}");
        }
        assert_eq!(secret_value(" a b\u{e4}"), Ok(" a b\u{e4}"));
    }

    #[test]
    fn control_characters_are_refused_by_their_place() {
        for (text, position) in
            [("a\nb", 2), ("\0", 1), ("ab\u{7f}", 3), ("\u{e4}\u{85}x", 2), ("a\tb", 2)]
        {
            let refused = Err(InvalidSecret::ControlCharacter { position });
            assert_eq!(secret_value(text), refused, "{text:?}");
        }
        for text in ["", "\n", " \r\n\t", "\u{feff}"] {
            assert_eq!(secret_value(text), Err(InvalidSecret::Empty), "{text:?}");
        }
    }

    #[test]
    fn what_was_copied_along_is_warned_of() {
        for text in
            ["Bearer abc", "bearer abc", "token abc", "Basic dTpw", "\"abc\"", "'abc'", " abc"]
                .into_iter()
                .chain(["abc\u{200b}", "a\u{a0}b", "**********", "${user.token}"])
        {
            assert_eq!(secret_warnings(text).len(), 1, "{text}");
        }
        for text in ["abc", "Bearerabc", "a b", "'", "a'b'", "a*b", "$x", "\u{e4}"] {
            assert_eq!(secret_warnings(text), [] as [String; 0], "{text}");
        }
        assert!(!secret_warnings("Bearer abc")[0].contains("abc"));
    }
}
