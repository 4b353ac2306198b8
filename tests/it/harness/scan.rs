//! Secret values, and the search for them in places where none may be.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::bytes::{Regex, RegexBuilder};

/// Values that may be nowhere in clear.
#[derive(Debug)]
pub(crate) struct Canaries {
    values: Vec<(String, String)>,
    pattern: Option<Regex>,
}

impl Canaries {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), pattern: None }
    }

    /// Makes up a value that occurs nowhere else.
    pub(crate) fn make(&mut self, name: &str) -> String {
        let value = format!("canary{:032x}", rand::random::<u128>());
        self.add(name, &value);
        value
    }

    /// Looks for this value too.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.values.push((name.to_owned(), value.to_owned()));
        self.pattern = None;
    }

    /// Fails if `bytes` hold a value, as it is, in base64 at any of the three offsets, as hex, or
    /// escaped.
    pub(crate) fn look(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        if self.pattern.is_none() {
            let forms: Vec<String> =
                self.values.iter().flat_map(|(_, value)| forms(value)).collect();
            let all = forms.iter().map(|form| regex::escape(form)).collect::<Vec<_>>().join("|");
            self.pattern = Some(RegexBuilder::new(&all).size_limit(64 << 20).build()?);
        }
        let found = self.pattern.as_ref().context("a pattern")?.find(bytes);
        let Some(found) = found else { return Ok(()) };
        let text = String::from_utf8_lossy(found.as_bytes()).into_owned();
        let name = self.values.iter().find(|(_, value)| forms(value).contains(&text));
        let name = name.map_or("?", |(name, _)| name);
        let around = &bytes[found.start().saturating_sub(120)..bytes.len().min(found.end() + 60)];
        ensure!(false, "{place} holds {name}: …{}…", String::from_utf8_lossy(around));
        Ok(())
    }

    /// Looks into every file below a directory and returns how many there were.
    pub(crate) fn look_below(&mut self, dir: &Path, skip: &[&str]) -> Result<usize> {
        let mut looked = 0;
        for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                looked += self.look_below(&path, skip)?;
            } else if path.is_file() && !skip.iter().any(|name| path.ends_with(name)) {
                self.look(&path.display().to_string(), &fs::read(&path)?)?;
                looked += 1;
            }
        }
        Ok(looked)
    }
}

/// The value and the forms in which it would be as good as in clear.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned(), hex::encode(value)];
    for offset in 0..3_usize {
        let padded = [vec![0; offset], value.as_bytes().to_vec()].concat();
        // Characters that hold bits of the neighbours are left out.
        let from = (offset * 8).div_ceil(6);
        let whole = padded.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(&padded).chars().take(whole).skip(from).collect());
        }
    }
    forms.push(STANDARD.encode(value));
    forms.extend(escaped(value));
    forms
}

/// The value with each character escaped, as servers write what they send back: for JSON, for
/// JSON inside JSON, for URLs once and twice, for HTML.
pub(crate) fn escaped(value: &str) -> Vec<String> {
    let each = |write: &dyn Fn(char) -> String| value.chars().map(write).collect::<String>();
    vec![
        each(&|c| format!("\\u{:04x}", u32::from(c))),
        each(&|c| format!("\\u{:04X}", u32::from(c))),
        each(&|c| format!("\\\\u{:04x}", u32::from(c))),
        each(&|c| format!("%{:02x}", u32::from(c))),
        each(&|c| format!("%{:02X}", u32::from(c))),
        each(&|c| format!("%25{:02X}", u32::from(c))),
        each(&|c| format!("&#{};", u32::from(c))),
        each(&|c| format!("&#x{:x};", u32::from(c))),
        each(&|c| format!("&amp;#x{:x};", u32::from(c))),
    ]
}
