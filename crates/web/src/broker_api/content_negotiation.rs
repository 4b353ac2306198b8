//! What a client wants to read: the header `Accept` as the broker weighs it.

use http::{HeaderMap, header};

/// HAL documents.
pub(crate) const HAL: &str = "application/hal+json";
/// The same without links, as far as clients care.
pub(crate) const JSON: &str = "application/json";
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

/// Whether whoever asks for `/` would rather see the page than the index: HTML is worth more to
/// them than JSON of any kind, or just as much and it is named while the other is not, or comes
/// first.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<(f32, String)> =
        values.flat_map(|value| value.split(',')).filter_map(weighed).collect();
    let Some(html) = worth(&ranges, HTML).filter(|html| html.weight > 0.0) else { return false };
    [HAL, JSON, "*/*"].into_iter().filter_map(|other| worth(&ranges, other)).all(|other| {
        let is_first = html.is_named == other.is_named && html.place < other.place;
        html.weight > other.weight
            || (html.weight.total_cmp(&other.weight).is_eq()
                && (is_first || html.is_named && !other.is_named))
    })
}

/// What a kind of answer is worth to a client.
#[derive(Debug, Clone, Copy)]
struct Worth {
    weight: f32,
    /// It is named itself, not by a star.
    is_named: bool,
    /// Where the range that it is worth something by stands.
    place: usize,
}

/// By the most exact range that fits (RFC 9110, 12.5.1); `None` when none does.
fn worth(ranges: &[(f32, String)], kind: &str) -> Option<Worth> {
    let fitting = ranges.iter().enumerate().filter(|(_, (_, range))| fits(range, kind));
    let stars = |range: &str| range.matches('*').count();
    let exact = fitting.min_by_key(|(_, (_, range))| stars(range));
    exact.map(|(place, (weight, range))| Worth {
        weight: *weight,
        is_named: stars(range) == 0,
        place,
    })
}

/// A media range with its weight; parameters other than the weight don't matter here.
fn weighed(item: &str) -> Option<(f32, String)> {
    let mut pieces = item.split(';').map(str::trim);
    let range = pieces.next().filter(|range| !range.is_empty())?.to_ascii_lowercase();
    let weight = pieces.find_map(|piece| piece.strip_prefix("q=")).unwrap_or("1");
    Some((weight.trim().parse().unwrap_or(0.0), range))
}

/// The same, of those that a client takes.
fn range(item: &str) -> Option<(f32, String)> {
    weighed(item).filter(|(weight, _)| *weight > 0.0)
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
    fn people_get_the_page_and_clients_the_index() {
        let wants = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::ACCEPT, accept.parse().unwrap());
            wants_page(&headers)
        };
        for page in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html",
            "text/html, */*",
            "text/html, application/json",
            "text/html;q=0.9, application/json;q=0.8",
            "text/*",
            "TEXT/HTML;level=1, */*;q=0.1",
        ] {
            assert!(wants(page), "{page}");
        }
        for index in [
            "*/*",
            "application/hal+json",
            "application/hal+json, application/json, */*; q=0.01",
            "application/json, text/html",
            "text/html;q=0.5, application/json",
            "text/html;q=0.5, */*",
            "text/html;q=0, */*",
            "text/plain",
            "",
        ] {
            assert!(!wants(index), "{index}");
        }
        assert!(!wants_page(&HeaderMap::new()));
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
