//! Finding secrets in text that is about to be kept or shown.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use postrider_domain::{RequestTemplate, SECRET_STARS, STARS};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::decode;
use crate::encode::{self, Encoding};
use crate::filter::Filter;
use crate::headers::is_secret_name;
use crate::lint::{is_literal, is_secret_member, is_well_known};
use crate::template::Template;

/// Shortest user name that is taken for a token, in bytes.
const SHORTEST_TOKEN: usize = 16;

/// Shorter values would star half of every text, in bytes.
const SHORTEST_SECRET: usize = 4;

/// Shortest piece of Base64 that is looked for, in characters.
const SHORTEST_BASE64: usize = 6;

/// How much longer a byte may become by being escaped twice, e.g. as `%5Cu0041`.
const LONGEST_ESCAPE: usize = 8;

/// Bits of the filter over the first two bytes of what is looked for.
const FILTER_BITS: usize = 2048;

/// Replaces secrets by eight stars, however they are written: as they are, form- or
/// percent-encoded, escaped for JSON, HTML or XML, several of that one over the other, or inside
/// Base64 (which is how basic authentication carries them). Values of fewer than four bytes are
/// ignored.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Sorted, so that those that begin with the same byte stand together.
    patterns: Vec<Pattern>,
    /// One bit for what a pattern's first two bytes come to, so that a text is looked at once,
    /// however many patterns there are; empty without patterns.
    filter: Vec<u64>,
    /// Length of the longest pattern.
    longest: usize,
    /// Names of headers and query parameters whose values are starred too, in lower case.
    names: Arc<[String]>,
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

/// A part of a redacted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As it was.
    Shown(&'a [u8]),
    /// A secret stood here.
    Starred,
}

impl Piece<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Shown(bytes) => bytes,
            Self::Starred => SECRET_STARS.as_bytes(),
        }
    }
}

impl Redactor {
    /// For these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        Self::of_texts(secrets.into_iter().map(ExposeSecret::expose_secret))
    }

    /// For these secrets, and for the credentials that stand in a webhook's request itself:
    /// its password, the password in its URL, a user name that is a token, and the values of
    /// headers and query parameters named like a secret, without their scheme. `more` are names of
    /// headers and query parameters, in lower case, whose values are credentials too.
    pub fn for_request(
        request: &RequestTemplate,
        secrets: &BTreeMap<String, SecretString>,
        more: &[String],
    ) -> Self {
        let is_hidden = |name: &str| more.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
        let headers =
            request.headers.iter().filter(|(name, _)| is_secret_name(name) || is_hidden(name));
        let tokens = headers
            .map(|(_, value)| value.split_once(' ').map_or(value.as_str(), |(_, token)| token));
        let values = secrets.values().map(ExposeSecret::expose_secret);
        let in_url =
            credentials_in_url(&request.url, |name| is_hidden(name) || is_secret_member(name));
        let username = request.username.as_deref();
        let username = username.filter(|name| is_token(name, request.password.as_deref()));
        let inline = request.password.as_deref().into_iter().chain(username);
        let inline = inline.chain(in_url.iter().map(String::as_str));
        // A template with placeholders is nowhere sent as it is written.
        let inline = inline.chain(tokens).filter(|text| Template::parse(text).is_fixed());
        Self::of_texts(values.chain(inline)).hiding(more)
    }

    fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut patterns = BTreeSet::new();
        for text in texts.filter(|text| text.len() >= SHORTEST_SECRET) {
            patterns.extend(written_forms(text).map(Pattern::plain));
            patterns.extend(filtered_forms(text).iter().flat_map(|text| base64_forms(text)));
            // Escapes that are a secret's own are undone with those around it.
            let bare = decode::decoded(text.as_bytes()).map(|decoded| decoded.bytes);
            let bare = bare.filter(|bare| bare.len() >= SHORTEST_SECRET);
            patterns.extend(bare.map(|needle| Pattern { needle, base64: false }));
        }
        let patterns: Vec<Pattern> = patterns.into_iter().collect();
        let mut filter = vec![0; if patterns.is_empty() { 0 } else { FILTER_BITS / 64 }];
        for pattern in &patterns {
            if let [first, second, ..] = pattern.needle[..] {
                let bit = filter_bit(first, second);
                filter[bit / 64] |= 1_u64 << (bit % 64);
            }
        }
        let longest = patterns.iter().map(|pattern| pattern.needle.len()).max().unwrap_or(0);
        Self { patterns, filter, longest, names: Arc::default() }
    }

    /// Stars also the values of headers and query parameters of these names, given in lower case.
    #[must_use]
    pub fn hiding(self, names: &[String]) -> Self {
        Self { names: names.into(), ..self }
    }

    /// Whether a header or query parameter of this name is starred.
    pub(crate) fn hides(&self, name: &str) -> bool {
        self.names.iter().any(|hidden| hidden.eq_ignore_ascii_case(name))
    }

    /// The URL with stars for the query parameters that are hidden; `None` when none is.
    pub(crate) fn without_hidden(&self, url: &str) -> Option<String> {
        if self.names.is_empty() {
            return None;
        }
        star_parameters(url, |name, _| self.hides(name))
    }

    fn may_begin(&self, first: u8, second: u8) -> bool {
        let bit = filter_bit(first, second);
        self.filter.get(bit / 64).is_some_and(|bits| (bits >> (bit % 64)) & 1 == 1)
    }

    /// Those that begin with this byte.
    fn beginning_with(&self, first: u8) -> &[Pattern] {
        let first_of = |pattern: &Pattern| pattern.needle.first().copied().unwrap_or_default();
        let from = self.patterns.partition_point(|pattern| first_of(pattern) < first);
        let rest = self.patterns.get(from..).unwrap_or_default();
        let count = rest.partition_point(|pattern| first_of(pattern) == first);
        rest.get(..count).unwrap_or_default()
    }

    /// The text with stars for secrets; itself when it holds none. Where secrets overlap, all of
    /// them are covered.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redact_head(text.as_bytes(), usize::MAX) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The first `limit` bytes, redacted. A secret that the cut would go through is starred.
    pub(crate) fn redact_head<'a>(&self, bytes: &'a [u8], limit: usize) -> Cow<'a, [u8]> {
        let mut pieces = self.pieces(bytes, limit);
        match (pieces.next(), pieces.next()) {
            (None, _) => Cow::Borrowed(&[]),
            (Some(Piece::Shown(only)), None) => Cow::Borrowed(only),
            (Some(first), second) => {
                let all = [first].into_iter().chain(second).chain(pieces);
                let mut out = Vec::with_capacity(bytes.len().min(limit));
                for piece in all {
                    out.extend_from_slice(piece.bytes());
                }
                Cow::Owned(out)
            }
        }
    }

    /// The parts of the first `limit` bytes, in order. A secret that the cut would go through is
    /// starred. Nothing is copied, and where there is no secret, nothing allocated.
    pub(crate) fn pieces<'a>(
        &self,
        bytes: &'a [u8],
        limit: usize,
    ) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let limit = limit.min(bytes.len());
        let longest = self.longest.saturating_mul(LONGEST_ESCAPE);
        let window = limit.saturating_add(longest).min(bytes.len());
        let (searched, shown) = (head(bytes, window), head(bytes, limit));
        let mut ranges = self.found(searched).into_iter().filter(move |r| r.start < limit);
        let mut next = ranges.next();
        let mut at = 0;
        std::iter::from_fn(move || {
            if let Some(range) = next.take_if(|range| range.start <= at) {
                at = range.end;
                next = ranges.next();
                return Some(Piece::Starred);
            }
            let end = next.as_ref().map_or(limit, |range| range.start);
            let piece = shown.get(at..end).filter(|piece| !piece.is_empty())?;
            at = end;
            Some(Piece::Shown(piece))
        })
    }

    /// Where secrets stand, in order, none overlapping another.
    fn found(&self, text: &[u8]) -> Vec<Range<usize>> {
        if self.patterns.is_empty() {
            return Vec::new();
        }
        let mut found = self.matches(text);
        if let Some(decoded) = decode::decoded(text) {
            found.extend(self.matches(&decoded.bytes).iter().map(|range| decoded.origin(range)));
        }
        if found.len() < 2 {
            return found;
        }
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
        for (at, pair) in text.windows(2).enumerate() {
            let [first, second] = *pair else { continue };
            if !self.may_begin(first, second) {
                continue;
            }
            let rest = text.get(at..).unwrap_or_default();
            let patterns = self.beginning_with(first).iter();
            for pattern in patterns.filter(|p| rest.starts_with(&p.needle)) {
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

/// The place of two bytes in the filter.
fn filter_bit(first: u8, second: u8) -> usize {
    (usize::from(first) * 29 + usize::from(second) * 251) % FILTER_BITS
}

/// Credentials of a URL's user information, and the values of hidden parameters.
fn credentials_in_url(url: &str, is_hidden: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = url.password().map(decoded);
    let username = Some(decoded(url.username())).filter(|name| is_token(name, password.as_deref()));
    let hidden = url.query_pairs().filter(|(name, _)| is_hidden(name));
    let hidden: Vec<String> = hidden.map(|(_, value)| value.into_owned()).collect();
    password.into_iter().chain(username).chain(hidden).collect()
}

/// Whether a user name is a token: many services take one there, with no password or with a word
/// in its place.
pub fn is_token(username: &str, password: Option<&str>) -> bool {
    let word = password.unwrap_or_default();
    let is_alone = word.is_empty() || matches!(word, "x" | "x-oauth-basic" | "api_token");
    let is_long = username.len() >= SHORTEST_TOKEN && !username.contains(['@', ' ']);
    (is_alone && is_long) || is_well_known(username)
}

/// Whether what is written there is a credential, by the name of the query parameter: a value that
/// nothing is filled into.
pub fn is_secret_parameter(name: &str, value: &str) -> bool {
    is_secret_member(name) && is_literal(value)
}

/// A URL, or its template, with stars for the values of query parameters that are hidden by name
/// and value as written; `None` when it has none of them.
pub fn star_parameters(url: &str, is_hidden: impl Fn(&str, &str) -> bool) -> Option<String> {
    let (before, rest) = url.split_once('?')?;
    let (query, fragment) = rest.split_once('#').map_or((rest, None), |(q, f)| (q, Some(f)));
    let mut any = false;
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_hidden(&form_decoded(name), value) => {
            any = true;
            format!("{name}={STARS}")
        }
        Some(_) | None => parameter.to_owned(),
    });
    let query = parameters.collect::<Vec<_>>().join("&");
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    any.then(|| format!("{before}?{query}{fragment}"))
}

fn form_decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn head(bytes: &[u8], limit: usize) -> &[u8] {
    bytes.get(..limit).unwrap_or(bytes)
}

impl Pattern {
    fn plain(text: String) -> Self {
        Self { needle: text.into_bytes(), base64: false }
    }
}

/// The whole run of Base64 characters around a match.
fn grown(text: &[u8], range: Range<usize>) -> Range<usize> {
    let is_base64 = |b: &&u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(*b);
    let before = text.iter().take(range.start).rev().take_while(is_base64).count();
    let after = text.iter().skip(range.end).take_while(is_base64).count();
    range.start - before..range.end + after
}

/// The text as it is and as each filter writes it, both also inside a JSON string.
fn filtered_forms(text: &str) -> BTreeSet<Cow<'_, str>> {
    let filtered = Filter::ALL.into_iter().map(|filter| filter.apply(Cow::Borrowed(text)));
    let mut forms: BTreeSet<_> = filtered.chain([Cow::Borrowed(text)]).collect();
    let in_json = forms.iter().map(|form| {
        let mut json = String::new();
        encode::push(&mut json, form, Encoding::Json);
        Cow::Owned(json)
    });
    let in_json: Vec<_> = in_json.collect();
    forms.extend(in_json);
    forms
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
        text.replace(' ', "+"),
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
fn base64_forms(text: &str) -> impl Iterator<Item = Pattern> + use<> {
    let bytes = text.as_bytes().to_vec();
    let shifted = (0..3_usize).flat_map(move |shift| {
        // Each byte before takes 8 of a character's 6 bits; each byte behind likewise.
        let padded = [&vec![0; shift], &bytes[..]].concat();
        let first = (shift * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)]
            .map(|encoded| encoded.get(first..last).unwrap_or_default().to_owned())
    });
    shifted
        .filter(|core| core.len() >= SHORTEST_BASE64)
        .map(|core| Pattern { needle: core.into_bytes(), base64: true })
}
