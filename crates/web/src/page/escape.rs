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
}
