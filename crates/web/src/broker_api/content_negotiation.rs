//! What a client wants to read: the header `Accept` as the broker weighs it.

use http::{HeaderMap, header};

/// HAL documents.
pub(crate) const HAL: &str = "application/hal+json";
/// Logs.
pub(crate) const TEXT: &str = "text/plain";
/// Help pages.
pub(crate) const HTML: &str = "text/html";

const PROBLEM: &str = "application/problem+json";

/// A client's wishes, the dearest first; none when it has no preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accept {
    text: String,
    ranges: Vec<String>,
}

impl Accept {
    /// A path that ends in `.json` asks for HAL whatever the header says (Pact Broker 2.120).
    pub(crate) fn of(headers: &HeaderMap, has_json_suffix: bool) -> Self {
        if has_json_suffix {
            return Self::parse(HAL);
        }
        let values = headers.get_all(header::ACCEPT).iter();
        let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        Self::parse(&texts.join(", "))
    }

    fn parse(text: &str) -> Self {
        let mut ranges: Vec<(f32, String)> = text.split(',').filter_map(range).collect();
        // Stable: of equal weights the first counts.
        ranges.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let ranges = ranges.into_iter().map(|(_, range)| range).collect();
        Self { text: text.to_owned(), ranges }
    }

    /// The kind to send of those that there are, the default first; `None` when none will do.
    pub(crate) fn choose(&self, provided: &[&'static str]) -> Option<&'static str> {
        if self.text.trim().is_empty() {
            return provided.first().copied();
        }
        let fitting = |range: &String| provided.iter().copied().find(|kind| fits(range, kind));
        self.ranges.iter().find_map(fitting)
    }

    /// Whether errors are to be problem documents (RFC 9457).
    pub(crate) fn wants_problems(&self) -> bool {
        self.text.contains(PROBLEM)
    }

    /// Whether a person with a browser asks.
    pub(crate) fn wants_pages(&self) -> bool {
        self.text.contains(HTML)
    }
}

/// A media range with its weight; parameters other than the weight don't matter here.
fn range(item: &str) -> Option<(f32, String)> {
    let mut pieces = item.split(';').map(str::trim);
    let range = pieces.next().filter(|range| !range.is_empty())?.to_ascii_lowercase();
    let weight = pieces.find_map(|piece| piece.strip_prefix("q=")).unwrap_or("1");
    let weight: f32 = weight.trim().parse().unwrap_or(0.0);
    (weight > 0.0).then_some((weight, range))
}

fn fits(range: &str, kind: &str) -> bool {
    let Some((major, _)) = kind.split_once('/') else { return false };
    match range.split_once('/') {
        Some(("*", "*")) => true,
        Some((wanted, "*")) => wanted == major,
        Some(_) => range == kind,
        // Java's old clients send a bare star.
        None => range == "*",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str) -> Option<&'static str> {
        Accept::parse(text).choose(&[TEXT, HAL])
    }

    #[test]
    fn the_dearest_kind_wins() {
        for (text, expected) in [
            ("", Some(TEXT)),
            ("*/*", Some(TEXT)),
            ("*", Some(TEXT)),
            ("application/hal+json", Some(HAL)),
            ("application/hal+json, application/json, */*; q=0.01", Some(HAL)),
            ("text/plain;q=0.5, application/hal+json", Some(HAL)),
            ("APPLICATION/*", Some(HAL)),
            ("application/hal+json;charset=utf-8", Some(HAL)),
            ("application/json", None),
            ("application/problem+json", None),
            ("application/hal+json;q=0", None),
            ("application/hal+json;q=x", None),
            ("nonsense", None),
            (",;,", None),
        ] {
            assert_eq!(choose(text), expected, "{text}");
        }
    }

    #[test]
    fn a_suffix_wins_over_the_header() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, "text/html".parse().unwrap());
        headers.append(header::ACCEPT, "application/problem+json".parse().unwrap());
        let accept = Accept::of(&headers, false);
        assert!(accept.wants_problems() && accept.wants_pages());
        assert_eq!(accept.choose(&[HAL]), None);
        assert_eq!(Accept::of(&headers, true).choose(&[HAL]), Some(HAL));
    }
}
