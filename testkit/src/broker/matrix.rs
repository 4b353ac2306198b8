//! The matrix, cut where the broker cuts it.

use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::model::{Model, Outcome, Pact};
use super::webhooks::encoded;

/// Rows that the broker answers unless told otherwise.
const LIMIT: usize = 100;

pub(super) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(super) fn time(at: Timestamp) -> String {
    // A broker says whole seconds, with an offset.
    format!("{}+00:00", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// Pacticipant and, where one is named, its version.
type Selector = (String, Option<String>);

fn selectors(url: &Url) -> Vec<Selector> {
    let mut selectors: Vec<Selector> = Vec::new();
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "q[][pacticipant]" => selectors.push((value.into_owned(), None)),
            "q[][version]" => {
                if let Some(last) = selectors.last_mut() {
                    last.1 = Some(value.into_owned());
                }
            }
            _ => {}
        }
    }
    selectors
}

/// `GET /matrix` with pacticipants, with or without versions. As the broker's: contracts of the
/// consumer versions that are named, joined with the results of the provider versions that are
/// named, so that a contract without such a result has a row without one; the newest actions
/// first, and cut there.
pub(super) fn matrix(model: &Model, base: &str, url: &Url) -> (u16, Value) {
    let selectors = selectors(url);
    let unknown = selectors.iter().filter(|(name, _)| model.party(name).is_none());
    let errors: Vec<String> =
        unknown.map(|(name, _)| format!("Pacticipant {name} not found")).collect();
    if !errors.is_empty() {
        return (400, json!({ "errors": errors }));
    }
    let is_meant = |name: &str, number: &str| {
        selectors.iter().any(|(known, version)| {
            known == name && version.as_deref().is_none_or(|one| one == number)
        })
    };
    let is_named = |name: &str| selectors.iter().any(|(known, _)| known == name);
    let mut rows: Vec<(&Pact, Option<&Outcome>)> = Vec::new();
    for pact in &model.pacts {
        if !is_meant(&pact.consumer, &pact.version) || !is_named(&pact.provider) {
            continue;
        }
        let mut versions: Vec<&str> = Vec::new();
        for result in model.results.iter().rev() {
            let is_of_it = result.sha == pact.sha && result.provider == pact.provider;
            let is_new = !versions.contains(&result.version.as_str());
            if is_of_it && is_new && is_meant(&result.provider, &result.version) {
                versions.push(&result.version);
                rows.push((pact, Some(result)));
            }
        }
        if versions.is_empty() {
            rows.push((pact, None));
        }
    }
    let created =
        |name: &str, number: &str| model.version(name, number).map(|version| version.created_at);
    rows.sort_by_key(|(pact, result)| {
        let provider = result.and_then(|result| created(&result.provider, &result.version));
        std::cmp::Reverse(created(&pact.consumer, &pact.version).max(provider))
    });
    let limit = parameter(url, "limit").and_then(|text| text.parse().ok()).unwrap_or(LIMIT);
    let rows = rows.into_iter().take(limit).map(|(pact, result)| row(model, base, pact, result));
    (200, json!({ "summary": {}, "matrix": rows.collect::<Vec<_>>() }))
}

fn side(model: &Model, name: &str, number: Option<&str>) -> Value {
    let version = number
        .and_then(|number| model.version(name, number))
        .map(|version| json!({ "number": version.number, "branch": version.branches.last() }));
    json!({ "name": name, "version": version })
}

fn row(model: &Model, base: &str, pact: &Pact, result: Option<&Outcome>) -> Value {
    let below = format!(
        "{base}/pacts/provider/{}/consumer/{}",
        encoded(&pact.provider),
        encoded(&pact.consumer)
    );
    let link = |path: &str| json!({ "self": { "href": format!("{below}/{path}") } });
    json!({
        "consumer": side(model, &pact.consumer, Some(&pact.version)),
        "provider": side(model, &pact.provider, result.map(|result| result.version.as_str())),
        "pact": {
            "createdAt": time(pact.at),
            "_links": link(&format!("version/{}", encoded(&pact.version))),
        },
        "verificationResult": result.map(|result| json!({
            "success": result.success,
            "verifiedAt": time(result.at),
            "_links": link(&format!(
                "pact-version/{}/verification-results/{}", result.sha, result.number
            )),
        })),
    })
}
