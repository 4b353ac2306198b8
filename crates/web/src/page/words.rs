//! Names and values: of a page's address, and of the forms that it sends.

use axum::body::{Body, to_bytes};
use http::{StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use postrider_http_server::query;
use url::form_urlencoded::Serializer;

use crate::page::answer::Fault;
use crate::page::escape;

/// Bytes of a form: a thousand ids and every filter.
const MAX_FORM: usize = 256 * 1024;

/// All but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A part of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Names with values, in their order. Empty values count as not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words(Vec<(String, String)>);

impl Words {
    /// Those of an address.
    pub(super) fn of(uri: &Uri) -> Result<Self, Fault> {
        Self::read(uri.query().unwrap_or_default())
    }

    /// Those of a form.
    pub(super) async fn sent(body: Body) -> Result<Self, Fault> {
        let too_large = |_| Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large");
        let bytes = to_bytes(body, MAX_FORM).await.map_err(too_large)?;
        let text = String::from_utf8(bytes.to_vec());
        Self::read(&text.map_err(|_| Fault::bad("the form is not valid UTF-8"))?)
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let pairs: Result<Vec<_>, _> = query::pairs(text).collect();
        let pairs = pairs.map_err(|problem| Fault::bad(problem.detail))?;
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Ok(Self(given.map(|(name, value)| (name, escape::as_it_was(&value))).collect()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value, or nothing, for a field that shows it again.
    pub(super) fn or_empty(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of these names.
    pub(super) fn only(&self, names: &[&str]) -> Self {
        let known = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()));
        Self(known.cloned().collect())
    }

    /// The same without one name.
    pub(super) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(known, _)| known != name).cloned().collect())
    }

    /// The same with this value in place of those of the name.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut words = self.without(name);
        words.0.push((name.to_owned(), value.to_owned()));
        words
    }

    /// A path with them.
    pub(super) fn at(&self, path: &str) -> String {
        if self.is_empty() {
            return path.to_owned();
        }
        let mut query = Serializer::new(String::new());
        query.extend_pairs(self.iter());
        format!("{path}?{}", query.finish())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Words {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let uri: Uri = "/ui?status=failed&consumer=a%26b+c&lane=&x=%5BU%2B202E%5D".parse().unwrap();
        let words = Words::of(&uri).unwrap();
        assert_eq!(words.get("consumer"), Some("a&b c"));
        assert_eq!(words.get("lane"), None);
        assert_eq!(words.get("x"), Some("\u{202e}"));
        let known = words.only(&["status", "consumer"]);
        assert_eq!(known.at("/p"), "/p?status=failed&consumer=a%26b+c");
        assert_eq!(known.without("consumer").at("/p"), "/p?status=failed");
        assert_eq!(known.with("status", "held").at("/p"), "/p?consumer=a%26b+c&status=held");
        assert_eq!(Words::default().at("/p"), "/p");
        let bad: Uri = "/ui?x=%FF".parse().unwrap();
        assert!(Words::of(&bad).is_err());
    }
}
