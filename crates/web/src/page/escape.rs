//! How values get into the page: as text, whatever they hold.

use std::fmt;

use askama::filters::Escaper;

/// Text in HTML, also within quoted attributes. Characters that turn the reading direction, or that
/// nobody sees, are written out: a name from elsewhere can't pass for another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Html;

impl Escaper for Html {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        string.chars().try_for_each(|c| write(&mut dest, c))
    }

    fn write_escaped_char<W: fmt::Write>(&self, mut dest: W, c: char) -> fmt::Result {
        write(&mut dest, c)
    }
}

fn write(dest: &mut impl fmt::Write, c: char) -> fmt::Result {
    match c {
        '&' => dest.write_str("&amp;"),
        '<' => dest.write_str("&lt;"),
        '>' => dest.write_str("&gt;"),
        '"' => dest.write_str("&quot;"),
        '\'' => dest.write_str("&#39;"),
        _ if is_unseen(c) => write!(dest, "[U+{:04X}]", u32::from(c)),
        _ => dest.write_char(c),
    }
}

fn is_unseen(c: char) -> bool {
    let is_blank = matches!(c, '\n' | '\r' | '\t');
    let turns = matches!(
        c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    );
    turns || (c.is_control() && !is_blank)
}

/// What was written out, as it was: fields of forms send back what they show.
pub(super) fn as_it_was(text: &str) -> String {
    const BEGIN: &str = "[U+";
    let mut parts = text.split(BEGIN);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let unseen = part.split_once(']').and_then(|(number, rest)| {
            let c = u32::from_str_radix(number, 16).ok().and_then(char::from_u32)?;
            is_unseen(c).then_some((c, rest))
        });
        if let Some((c, rest)) = unseen {
            whole.push(c);
            whole.push_str(rest);
        } else {
            whole.push_str(BEGIN);
            whole.push_str(part);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_text() {
        let mut written = String::new();
        let value = "<a href='x' onclick=\"y\">\u{202e}gpj.exe\u{2069}\0\n&";
        Html.write_escaped_str(&mut written, value).unwrap();
        let expected = "&lt;a href=&#39;x&#39; onclick=&quot;y&quot;&gt;[U+202E]gpj.exe[U+2069]\
                        [U+0000]\n&amp;";
        assert_eq!(written, expected);
    }

    #[test]
    fn what_is_written_out_comes_back() {
        let value = "\u{202e}gpj\u{2069}.exe\0";
        let mut written = String::new();
        Html.write_escaped_str(&mut written, value).unwrap();
        assert_eq!(as_it_was(&written), value);
        for plain in ["", "[U+", "[U+0041]", "a[U+202E", "[U+zz]", "[U+110000]", "é[U+"] {
            assert_eq!(as_it_was(plain), plain);
        }
    }
}
