//! What a template asks for, seen when it is created.

use std::borrow::Cow;
use std::collections::BTreeSet;

use postrider_domain::RequestTemplate;

use crate::BrokerVar;
use crate::body::body_text;
use crate::template::{Placeholder, Template};

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
    if Placeholder::from_name(name).is_some() {
        return None;
    }
    let nearest = nearest(name);
    let scope = name.split('.').next().unwrap_or_default().trim();
    let ours = ["pactbroker", "user", "postrider"].iter().any(|s| s.eq_ignore_ascii_case(scope));
    (nearest.is_some() || ours).then(|| UnknownVariable { name: name.to_owned(), nearest })
}

fn nearest(name: &str) -> Option<String> {
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
