//! What a template asks for, seen when it is created.

use std::borrow::Cow;
use std::collections::BTreeSet;

use postrider_domain::RequestTemplate;

use crate::BrokerVar;
use crate::body::body_text;
use crate::filter::Filter;
use crate::template::{Placeholder, Template, is_placeholder};

/// Longest text between `${` and `}` that is taken for a mistyped variable, in bytes.
const MAX_NAME: usize = 128;

/// Something that looks like a placeholder and is none; it is sent as it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownVariable {
    /// What stands between `${` and `}`.
    pub name: String,
    /// The variable that was probably meant, e.g. `pactbroker.consumerName`.
    pub nearest: Option<String>,
}

/// The names of all `${user.NAME}` in URL, header values, body (keys included), username and
/// password.
pub fn secret_names(request: &RequestTemplate) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in texts(request) {
        for placeholder in Template::parse(&text).placeholders() {
            match placeholder {
                Placeholder::Secret(name) => {
                    names.insert(name.clone());
                }
                Placeholder::Broker(_) | Placeholder::DeliveryId => {}
            }
        }
    }
    names
}

/// Placeholders that will stay literally and were probably not meant to, each once, by name.
/// `${…}` of other languages is none of them.
pub fn unknown_variables(request: &RequestTemplate) -> Vec<UnknownVariable> {
    let mut found = BTreeSet::new();
    for text in texts(request) {
        found.extend(unknown_in(&text));
    }
    found.into_iter().collect()
}

fn texts(request: &RequestTemplate) -> impl Iterator<Item = Cow<'_, str>> {
    let headers = request.headers.iter().map(|(_, value)| value.as_str());
    let plain = [Some(request.url.as_str()), request.username.as_deref()];
    plain
        .into_iter()
        .flatten()
        .chain(request.password.as_deref())
        .chain(headers)
        .map(Cow::Borrowed)
        .chain(request.body.as_ref().and_then(body_text))
}

/// Those of one text, in its order.
pub(crate) fn unknown_in(text: &str) -> impl Iterator<Item = UnknownVariable> {
    lookalikes(text).filter_map(unknown)
}

/// What stands between `${` and the next `}`, unless another `${` comes first.
fn lookalikes(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|part| {
        let end = part.bytes().take(MAX_NAME + 1).position(|b| b == b'}')?;
        part.get(..end)
    })
}

fn unknown(name: &str) -> Option<UnknownVariable> {
    if is_placeholder(name) {
        return None;
    }
    let nearest = nearest(name);
    let scope = name.split('.').next().unwrap_or_default().trim();
    let ours = ["pactbroker", "user", "postrider"].iter().any(|s| s.eq_ignore_ascii_case(scope));
    (nearest.is_some() || ours).then(|| UnknownVariable { name: name.to_owned(), nearest })
}

/// A variable whose filter is none: unknown, more than one, or with blanks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "${{{written}}} has no valid filter: use one of {}, right behind the |, without blanks",
    Filter::ALL.map(Filter::as_str).join(", ")
)]
pub struct InvalidFilter {
    /// What stands between `${` and `}`, cut after 128 characters.
    pub written: String,
}

/// The first known variable of a text with a filter that is none. A broker gives `|` no meaning,
/// so that nobody can have meant it literally.
pub fn invalid_filter(text: &str) -> Option<InvalidFilter> {
    text.split("${").skip(1).find_map(|part| {
        let written = part.split_once('}').map_or(part, |(written, _)| written);
        let (name, _) = written.split_once('|')?;
        let is_invalid = Placeholder::from_name(name.trim()).is_some() && !is_placeholder(written);
        is_invalid.then(|| InvalidFilter { written: written.chars().take(MAX_NAME).collect() })
    })
}

fn nearest(name: &str) -> Option<String> {
    let (name, filter) = name.split_once('|').map_or((name, None), |(name, f)| (name, Some(f)));
    let filter = filter.filter(|filter| Filter::from_name(filter).is_some());
    let suffix = filter.map(|filter| format!("|{filter}")).unwrap_or_default();
    nearest_variable(name).map(|variable| format!("{variable}{suffix}"))
}

fn nearest_variable(name: &str) -> Option<String> {
    let lower = name.trim().to_ascii_lowercase();
    let bare = BrokerVar::ALL.into_iter().find(|var| var.as_str().eq_ignore_ascii_case(&lower));
    if let Some(var) = bare {
        return Some(full_name(var));
    }
    let known = BrokerVar::ALL.into_iter().map(full_name);
    known
        .chain(["postrider.deliveryId".to_owned()])
        .map(|full| (distance(&lower, &full.to_ascii_lowercase()), full))
        .min()
        .filter(|(distance, _)| *distance <= 4)
        .map(|(_, full)| full)
}

fn full_name(var: BrokerVar) -> String {
    format!("pactbroker.{}", var.as_str())
}

/// Levenshtein's distance, over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let here = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
