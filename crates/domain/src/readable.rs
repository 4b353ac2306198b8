//! Text from elsewhere, shown to people.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character changes how others around it are laid out (Unicode, UAX #9), so that a
/// text could look like another.
fn is_bidirectional_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with its bidirectional control characters written as `\u{202e}`.
pub fn without_bidirectional_controls(text: &str) -> Cow<'_, str> {
    if !text.contains(is_bidirectional_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_bidirectional_control(c) {
            // Writing to a String cannot fail.
            let _infallible = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_turns_text_around_is_escaped() {
        let text = "a\u{202e}b\u{2066}c\u{61c}";
        assert_eq!(without_bidirectional_controls(text), "a\\u{202e}b\\u{2066}c\\u{61c}");
        for text in ["", "abc", "\u{5d0}\u{e4}\u{1f600}\u{200d}\n"] {
            assert!(matches!(without_bidirectional_controls(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
