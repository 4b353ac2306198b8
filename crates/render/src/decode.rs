//! Undoing what others may have done to a text that they send back: percent-encoding, escapes
//! of JSON and JavaScript, character references of HTML and XML, in any mixture and several
//! times over. Only for looking: each byte knows where in the text it comes from.

use std::ops::Range;

/// How many layers are undone; each can only make a text shorter.
const LAYERS: usize = 4;

/// Longest character reference that is looked at, in bytes behind the `&`.
const LONGEST_REFERENCE: usize = 10;

/// A text without its escapes.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) bytes: Vec<u8>,
    /// Where in the text each byte comes from.
    origins: Vec<(usize, usize)>,
}

impl Decoded {
    /// The part of the text that these bytes come from.
    pub(crate) fn origin(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.origins.get(range.start).map_or(0, |(start, _)| *start);
        let last = range.end.checked_sub(1).and_then(|last| self.origins.get(last));
        start..last.map_or(start, |(_, end)| *end)
    }

    /// The same bytes, over the text that `inner` was made of.
    fn over(mut self, inner: &Self) -> Self {
        for (start, end) in &mut self.origins {
            let origin = inner.origin(&(*start..*end));
            (*start, *end) = (origin.start, origin.end);
        }
        self
    }
}

/// The text without any escapes; `None` when it has none.
pub(crate) fn decoded(text: &[u8]) -> Option<Decoded> {
    let mut decoded: Option<Decoded> = None;
    for _ in 0..LAYERS {
        let Some(next) = layer(decoded.as_ref().map_or(text, |decoded| &decoded.bytes)) else {
            break;
        };
        decoded = Some(match decoded {
            Some(inner) => next.over(&inner),
            None => next,
        });
    }
    decoded
}

/// One layer of escapes undone; `None` when there was none.
fn layer(text: &[u8]) -> Option<Decoded> {
    let mut at = text.iter().position(|b| matches!(b, b'%' | b'\\' | b'&'))?;
    let mut bytes = text.get(..at)?.to_vec();
    let mut origins: Vec<(usize, usize)> = (0..at).map(|at| (at, at + 1)).collect();
    let mut any = false;
    while let Some(rest @ [first, ..]) = text.get(at..) {
        let read = escape(rest);
        any |= read.is_some();
        let (value, taken) = read.unwrap_or((Escaped::Byte(*first), 1));
        let mut buffer = [0; 4];
        let value = value.bytes(&mut buffer);
        bytes.extend_from_slice(value);
        origins.extend(value.iter().map(|_| (at, at + taken)));
        at += taken;
    }
    any.then_some(Decoded { bytes, origins })
}

/// What an escape stands for.
#[derive(Debug, Clone, Copy)]
enum Escaped {
    Byte(u8),
    Char(char),
}

impl Escaped {
    fn bytes(self, buffer: &mut [u8; 4]) -> &[u8] {
        match self {
            Self::Byte(byte) => {
                buffer[0] = byte;
                &buffer[..1]
            }
            Self::Char(c) => c.encode_utf8(buffer).as_bytes(),
        }
    }
}

/// The escape that a text begins with, and its length.
fn escape(text: &[u8]) -> Option<(Escaped, usize)> {
    match text {
        [b'%', hex @ ..] => Some((Escaped::Byte(byte(hex)?), 3)),
        [b'\\', b'x', hex @ ..] => Some((Escaped::Byte(byte(hex)?), 4)),
        [b'\\', b'u', hex @ ..] => utf16(hex),
        [b'\\', c, ..] => {
            let byte = match c {
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'f' => 12,
                b'r' => b'\r',
                b'"' | b'\'' | b'\\' | b'/' => *c,
                _ => return None,
            };
            Some((Escaped::Byte(byte), 2))
        }
        [b'&', reference @ ..] => character_reference(reference),
        _ => None,
    }
}

fn byte(hex: &[u8]) -> Option<u8> {
    u8::try_from(number(hex.get(..2)?, 16)?).ok()
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let all = digits.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok().filter(|_| all)
}

/// One unit of UTF-16, or two that belong together, behind `\u`.
fn utf16(hex: &[u8]) -> Option<(Escaped, usize)> {
    let unit = |hex: &[u8]| u16::try_from(number(hex.get(..4)?, 16)?).ok();
    let first = unit(hex)?;
    if let Some(c) = char::from_u32(u32::from(first)) {
        return Some((Escaped::Char(c), 6));
    }
    let second = hex.get(4..)?.strip_prefix(b"\\u")?;
    let pair = [first, unit(second)?];
    let c = char::decode_utf16(pair).next()?.ok()?;
    Some((Escaped::Char(c), 12))
}

/// What stands behind `&`.
fn character_reference(text: &[u8]) -> Option<(Escaped, usize)> {
    let end = text.iter().take(LONGEST_REFERENCE).position(|b| *b == b';')?;
    let c = match text.get(..end)? {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', hex @ ..] => char::from_u32(number(hex, 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
        _ => return None,
    };
    Some((Escaped::Char(c), end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Option<String> {
        decoded(text.as_bytes()).map(|decoded| String::from_utf8(decoded.bytes).unwrap())
    }

    #[test]
    fn escapes_are_undone_in_any_mixture() {
        for (text, expected) in [
            ("a%2Fb%2fc", "a/b/c"),
            ("%25252F", "/"),
            (r#"\"\\\/\n\t\u003c\u003C\x3c\'"#, "\"/\n\t<<<'"),
            (r"\u00e4\ud83d\ude00", "\u{e4}\u{1f600}"),
            ("&amp;&lt;&gt;&quot;&apos;&#39;&#x27;&#X27;", "&<>\"''''"),
            ("&amp;lt;", "<"),
            (r"\\u0041\\\\u0042", "AB"),
            ("%26lt%3b%5cu0041", "<A"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in
            ["", "abc", "100%", "%zz", "%+1", r"\q", r"\u12", r"\ud83d", "&;", "&#;", "a & b;"]
        {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("&#55296;&#99999999;%41").as_deref(), Some("&#55296;&#99999999;A"));
    }

    #[test]
    fn bytes_know_where_they_come_from() {
        let text = "x%2541y\\u00e4z";
        let decoded = decoded(text.as_bytes()).unwrap();
        assert_eq!(decoded.bytes, "xAy\u{e4}z".as_bytes());
        for (range, part) in
            [(0..1, "x"), (1..2, "%2541"), (0..3, "x%2541y"), (3..5, "\\u00e4"), (4..6, "\\u00e4z")]
        {
            assert_eq!(text.get(decoded.origin(&range)), Some(part));
        }
    }
}
