//! Where the tokens of a GitHub App may stand: in the header Authorization of requests to GitHub.

use std::collections::BTreeSet;

use postrider_domain::{AppTargets, Extensions, RequestTemplate};

use crate::inspect::secret_names;

/// What keeps a webhook from using secrets that are apps. `is_app` tells which are, `may` where
/// their tokens may go; the answer names the secret, the member of the request and why.
pub fn app_misuse(
    request: &RequestTemplate,
    extensions: &Extensions,
    is_app: impl Fn(&str) -> bool,
    may: AppTargets<'_>,
) -> Option<(String, &'static str, String)> {
    let is_authorization = |name: &str| name.eq_ignore_ascii_case("authorization");
    let mut elsewhere = request.clone();
    elsewhere.headers.retain(|(name, _)| !is_authorization(name));
    let mut outside: BTreeSet<String> = secret_names(&elsewhere);
    outside.extend(extensions.secret_names().cloned());
    if let Some(name) = outside.into_iter().find(|name| is_app(name)) {
        let why = format!(
            "the secret {name} is a GitHub App: its tokens are sent in the header Authorization only"
        );
        return Some((name, "request", why));
    }
    let name = secret_names(request).into_iter().find(|name| is_app(name))?;
    let why = may.check(&request.url).err()?;
    let why = format!("the secret {name} is a GitHub App: {why}");
    Some((name, "request.url", why))
}

#[cfg(test)]
mod tests {
    use postrider_domain::{Body, BodyMode, HostPatterns};
    use serde_json::json;

    use super::*;

    fn request() -> RequestTemplate {
        RequestTemplate {
            method: "POST".to_owned(),
            url: "https://api.github.com/repos/o/r/dispatches".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer ${user.app}".to_owned())],
            body: None,
            body_mode: BodyMode::Json,
            username: None,
            password: None,
        }
    }

    fn misuse(request: &RequestTemplate, extensions: &Extensions) -> Option<(String, String)> {
        let hosts = HostPatterns::github();
        let may = AppTargets { github_hosts: &hosts, schemes: &["https".to_owned()] };
        let found = app_misuse(request, extensions, |name| name == "app", may);
        found.map(|(name, member, why)| {
            assert!(why.contains(&name), "{why}");
            (member.to_owned(), why)
        })
    }

    #[test]
    fn authorization_at_github_is_where_a_token_goes() {
        assert_eq!(misuse(&request(), &Extensions::default()), None);
        let mut plain = request();
        plain.url = "http://example.com/${user.other}".to_owned();
        plain.headers[0].1 = "Bearer ${user.other}".to_owned();
        assert_eq!(misuse(&plain, &Extensions::default()), None, "no app is used");
    }

    #[test]
    fn every_other_place_is_refused() {
        let app = || "x${user.app|json}".to_owned();
        let mut places = vec![request(); 6];
        places[0].url = format!("https://api.github.com/repos/o/r/dispatches?a={}", app());
        places[1].headers.push(("x-token".to_owned(), app()));
        places[2].body = Some(Body::Text(app()));
        places[3].body = Some(Body::Json(json!({"a": [{ app(): 1 }]})));
        places[4].username = Some(app());
        places[5].password = Some(app());
        for place in &places {
            let (member, why) = misuse(place, &Extensions::default()).unwrap();
            assert!(member == "request" && why.contains("Authorization only"), "{why}");
        }
        let signed = Extensions::read(&json!({"signing": {"secret": "${user.app}"}})).unwrap();
        assert!(misuse(&request(), &signed).is_some());
    }

    #[test]
    fn other_targets_are_refused() {
        for url in ["https://example.com/repos/o/r/dispatches", "http://api.github.com/repos/o/r"] {
            let elsewhere = RequestTemplate { url: url.to_owned(), ..request() };
            let (member, _) = misuse(&elsewhere, &Extensions::default()).unwrap();
            assert_eq!(member, "request.url", "{url}");
        }
    }
}
