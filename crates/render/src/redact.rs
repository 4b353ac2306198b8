//! Finding secrets in text that is about to be kept or shown.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use postrider_domain::RequestTemplate;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::encode::{self, Encoding};
use crate::headers::is_secret_name;

/// What is shown in a secret's place (as PactFlow does).
const STARS: &str = "********";

/// Shorter values would star half of every text, in bytes.
const SHORTEST_SECRET: usize = 4;

/// Shortest piece of Base64 that is looked for, in characters.
const SHORTEST_BASE64: usize = 6;

/// Replaces secrets by eight stars, however they are written: as they are, form- or
/// percent-encoded, escaped for JSON, or inside Base64 (which is how basic authentication
/// carries them). Values of fewer than four bytes are ignored.
#[derive(Clone, Default)]
pub struct Redactor {
    patterns: Vec<Pattern>,
    /// One bit for each byte that a pattern begins with, so that most of a text is looked at
    /// once, however many patterns there are.
    first_bytes: [u64; 4],
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Zeroize, ZeroizeOnDrop)]
struct Pattern {
    needle: Vec<u8>,
    /// The needle is the middle of a longer secret text, which is starred whole.
    base64: bool,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// For these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        Self::of_texts(secrets.into_iter().map(ExposeSecret::expose_secret))
    }

    /// For these secrets, and for the credentials that stand in a webhook's request itself:
    /// its password, the password in its URL, and the values of headers named like authorization
    /// or token, without their scheme.
    pub fn for_request(
        request: &RequestTemplate,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Self {
        let headers = request.headers.iter().filter(|(name, _)| is_secret_name(name));
        let tokens = headers
            .map(|(_, value)| value.split_once(' ').map_or(value.as_str(), |(_, token)| token));
        let values = secrets.values().map(ExposeSecret::expose_secret);
        let url_password = url_password(&request.url);
        let inline = request.password.as_deref().into_iter().chain(url_password.as_deref());
        Self::of_texts(values.chain(inline).chain(tokens))
    }

    fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut patterns = BTreeSet::new();
        for text in texts.filter(|text| text.len() >= SHORTEST_SECRET) {
            patterns.extend(written_forms(text).map(Pattern::plain));
            patterns.extend(base64_forms(text).map(Pattern::base64));
        }
        let mut first_bytes = [0; 4];
        for first in patterns.iter().filter_map(|pattern: &Pattern| pattern.needle.first()) {
            first_bytes[usize::from(first >> 6)] |= 1 << (first & 63);
        }
        Self { patterns: patterns.into_iter().collect(), first_bytes }
    }

    fn may_begin(&self, byte: u8) -> bool {
        (self.first_bytes[usize::from(byte >> 6)] >> (byte & 63)) & 1 == 1
    }

    /// The text with stars for secrets. Where secrets overlap, all of them are covered.
    pub fn redact(&self, text: &str) -> String {
        match self.redact_head(text.as_bytes(), usize::MAX) {
            Cow::Borrowed(_) => text.to_owned(),
            Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Like [`redact`](Self::redact), for text in any encoding that keeps ASCII.
    pub fn redact_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.redact_head(bytes, usize::MAX).into_owned()
    }

    /// The first `limit` bytes, redacted. A secret that the cut would go through is starred.
    pub(crate) fn redact_head<'a>(&self, bytes: &'a [u8], limit: usize) -> Cow<'a, [u8]> {
        let limit = limit.min(bytes.len());
        let longest = self.patterns.iter().map(|pattern| pattern.needle.len()).max();
        let window = limit.saturating_add(longest.unwrap_or_default()).min(bytes.len());
        let (searched, shown) = (head(bytes, window), head(bytes, limit));
        let found = self.found(searched);
        if found.is_empty() { Cow::Borrowed(shown) } else { Cow::Owned(starred(shown, &found)) }
    }

    /// Where secrets stand, in order, none overlapping another.
    fn found(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = self.matches(text);
        found.sort_unstable_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                Some(_) | None => merged.push(range),
            }
        }
        merged
    }

    /// All matches: one secret may begin inside another, or inside a copy of itself.
    fn matches(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut base64_until = 0;
        let candidates = text.iter().enumerate().filter(|(_, byte)| self.may_begin(**byte));
        for (at, _) in candidates {
            let rest = text.get(at..).unwrap_or_default();
            for pattern in self.patterns.iter().filter(|p| rest.starts_with(&p.needle)) {
                let exact = at..at + pattern.needle.len();
                if !pattern.base64 {
                    found.push(exact);
                } else if at >= base64_until {
                    let range = grown(text, exact);
                    base64_until = range.end;
                    found.push(range);
                }
            }
        }
        found
    }
}

fn url_password(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let password = percent_decode_str(url.password()?).decode_utf8_lossy();
    Some(password.into_owned())
}

fn head(bytes: &[u8], limit: usize) -> &[u8] {
    bytes.get(..limit).unwrap_or(bytes)
}

fn starred(text: &[u8], found: &[Range<usize>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut shown = 0;
    for range in found.iter().filter(|range| range.start < text.len()) {
        out.extend_from_slice(text.get(shown..range.start).unwrap_or_default());
        out.extend_from_slice(STARS.as_bytes());
        shown = range.end;
    }
    out.extend_from_slice(text.get(shown..).unwrap_or_default());
    out
}

impl Pattern {
    fn plain(text: String) -> Self {
        Self { needle: text.into_bytes(), base64: false }
    }

    fn base64(text: String) -> Self {
        Self { needle: text.into_bytes(), base64: true }
    }
}

/// The whole run of Base64 characters around a match.
fn grown(text: &[u8], range: Range<usize>) -> Range<usize> {
    let is_base64 = |b: &&u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(*b);
    let before = text.iter().take(range.start).rev().take_while(is_base64).count();
    let after = text.iter().skip(range.end).take_while(is_base64).count();
    range.start - before..range.end + after
}

/// How a text may be written in a URL, in JSON (by encoders that escape much or little) or as
/// it is.
fn written_forms(text: &str) -> impl Iterator<Item = String> {
    let mut form = String::new();
    encode::push(&mut form, text, Encoding::Form);
    let percent = form.replace('+', "%20");
    let mut json = String::new();
    encode::push(&mut json, text, Encoding::Json);
    [
        text.to_owned(),
        lower_case_hex(&form),
        lower_case_hex(&percent),
        form,
        percent,
        json.replace('/', "\\/"),
        ascii_json(&json),
        json,
    ]
    .into_iter()
}

fn lower_case_hex(encoded: &str) -> String {
    let mut digits = 0_u8;
    let mut lower = |c: char| {
        let is_digit = digits > 0;
        digits = if c == '%' { 2 } else { digits.saturating_sub(1) };
        if is_digit { c.to_ascii_lowercase() } else { c }
    };
    encoded.chars().map(&mut lower).collect()
}

/// As Go and others write it: nothing but ASCII, and nothing that HTML could mistake.
fn ascii_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && !matches!(c, '<' | '>' | '&' | '\'') {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// Base64 of a longer text that holds `text`, which may begin at any of three positions of a
/// group of three bytes: the characters that depend on `text` alone.
fn base64_forms(text: &str) -> impl Iterator<Item = String> {
    let shifted = (0..3_usize).flat_map(|shift| {
        // Each byte before takes 8 of a character's 6 bits; each byte behind likewise.
        let padded = [vec![0; shift], text.as_bytes().to_vec()].concat();
        let first = (shift * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)]
            .map(|encoded| encoded.get(first..last).unwrap_or_default().to_owned())
    });
    shifted.filter(|core| core.len() >= SHORTEST_BASE64)
}
