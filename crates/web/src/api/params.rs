//! Parameters in paths, and of lists in queries.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use postrider_api::NextPage;
use postrider_domain::parse_duration;
use postrider_domain::suggestions;
use postrider_http_server::{Problem, query};
use uuid::Uuid;

/// Rows of a page when the caller does not say.
const DEFAULT_LIMIT: u32 = 50;

/// Rows of a page at most.
const MAX_LIMIT: u32 = 1_000;

/// Parameters by name, each known and given once. Empty ones count as not given.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query of a URL.
    pub(super) fn of(uri: &Uri, known: &[&[&str]]) -> Result<Self, Problem> {
        let mut params = Self::default();
        let known = known.concat();
        for pair in query::pairs(uri.query().unwrap_or_default()) {
            let (name, value) = pair?;
            if !known.contains(&name.as_str()) {
                let hint = suggestions::hint(&name, known.iter().copied());
                return Err(wrong(&name, format!("is no known parameter{hint}")));
            }
            if params.get(&name).is_some() {
                return Err(wrong(&name, "is given twice"));
            }
            params.0.push((name, value));
        }
        Ok(params)
    }

    /// The value of a parameter, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that parses; `wanted` tells what would.
    pub(super) fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| wrong(name, format!("must be {wanted}, not {text:?}")))
    }

    /// `limit`, 1 to 1,000, 50 when not given.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        self.limit_or(DEFAULT_LIMIT)
    }

    fn limit_or(&self, default: u32) -> Result<u32, Problem> {
        let wanted = format!("a whole number from 1 to {MAX_LIMIT}");
        match self.parsed("limit", &wanted)? {
            None => Ok(default),
            Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            Some(limit) => Err(wrong("limit", format!("must be {wanted}, not {limit}"))),
        }
    }
}

/// A page of a short list, by name.
#[derive(Debug)]
pub(super) struct ShortPage<T> {
    pub(super) rows: Vec<T>,
    pub(super) next: NextPage,
    pub(super) total: u64,
}

impl<T> ShortPage<T> {
    /// What the parameters ask for of all rows: by default as many as a page may have.
    pub(super) fn of(
        mut rows: Vec<T>,
        name: impl Fn(&T) -> &str,
        params: &Params,
    ) -> Result<Self, Problem> {
        let limit = usize::try_from(params.limit_or(MAX_LIMIT)?).unwrap_or(usize::MAX);
        let total = rows.len() as u64;
        rows.sort_by(|one, other| name(one).cmp(name(other)));
        if let Some(cursor) = params.get("cursor") {
            let after = cursor_of(cursor)
                .ok_or_else(|| wrong("cursor", "must be the member next of an earlier page"))?;
            rows.drain(..rows.partition_point(|row| name(row) <= after.as_str()));
        }
        let goes_on = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| goes_on).map(|row| cursor_text(name(row)));
        Ok(Self { rows, next: NextPage(next), total })
    }
}

/// The one parameter in a path; 400 for what is no UTF-8.
#[derive(Debug)]
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let fault = |_| Problem::bad("", "the path is not valid UTF-8");
        read.map(|Path(text)| Self(text)).map_err(fault)
    }
}

/// 400 that names the parameter.
pub(super) fn wrong(name: &str, detail: impl Into<String>) -> Problem {
    Problem::bad("", format!("the parameter {name} {}", detail.into()))
}

/// Where a page ended, as a text that nobody takes apart.
pub(super) fn cursor_text(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// What [`cursor_text`] was made from.
pub(super) fn cursor_of(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// A cursor that is the id of the last row.
pub(super) fn id_cursor(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// What [`id_cursor`] was made from.
pub(super) fn read_id_cursor(text: &str) -> Result<Uuid, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    id.ok_or_else(|| wrong("cursor", "must be the member next of an earlier page"))
}

/// A time as in RFC 3339, or a duration back from `now`.
pub(super) fn instant(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let back = parse_duration(text).ok().and_then(|back| SignedDuration::try_from(back).ok());
    let at = back.and_then(|back| now.checked_sub(back).ok());
    at.ok_or_else(|| {
        format!("must be a time as in RFC 3339, or back from now such as 2h or 3d, not {text:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Result<Params, String> {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        Params::of(&uri, &[&["limit"], &["status"]]).map_err(|problem| problem.detail)
    }

    #[test]
    fn known_once() {
        let params_read = params("limit=7&status=a%20b+c&").unwrap();
        assert_eq!(params_read.get("status"), Some("a b c"));
        assert_eq!(params_read.limit().unwrap(), 7);
        assert_eq!(
            params("limti=7").unwrap_err(),
            "the parameter limti is no known parameter; did you mean limit?"
        );
        assert_eq!(params("limit=7&limit=8").unwrap_err(), "the parameter limit is given twice");
        assert!(params("status=%FF").is_err());
        assert!(params("status=%00").is_err());
    }

    #[test]
    fn limits() {
        let limit = |query: &str| params(query).unwrap().limit().map_err(|problem| problem.detail);
        assert_eq!(limit(""), Ok(50));
        assert_eq!(limit("limit=1000"), Ok(1000));
        for bad in ["limit=0", "limit=1001", "limit=-1", "limit=ten"] {
            let detail = limit(bad).unwrap_err();
            assert!(detail.contains("the parameter limit must be a whole number"), "{detail}");
        }
    }

    #[test]
    fn instants() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let expected: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        for text in ["2h", "120m", "2026-11-22T10:00:00Z", "2026-11-22T11:00:00+01:00"] {
            assert_eq!(instant(text, now), Ok(expected), "{text}");
        }
        for bad in ["yesterday", "2 hours", "2026-11-22", "99999999999999d"] {
            assert!(instant(bad, now).is_err(), "{bad}");
        }
    }
}
