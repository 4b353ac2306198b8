//! Credentials that stand in the webhook itself, where everybody sees them who may read, export
//! or back up webhooks.

use postrider_domain::has_stars;
use url::Url;

use super::finding::{Finding, LintRule};
use super::spots::{Kind, Spot};
use crate::headers::is_secret_name;
use crate::template::Template;

/// How well-known credentials begin, and whose they are.
const PREFIXES: [(&str, &str); 13] = [
    ("ghp_", "GitHub"),
    ("gho_", "GitHub"),
    ("ghu_", "GitHub"),
    ("ghs_", "GitHub"),
    ("ghr_", "GitHub"),
    ("github_pat_", "GitHub"),
    ("glpat-", "GitLab"),
    ("glptt-", "GitLab"),
    ("xoxb-", "Slack"),
    ("xoxp-", "Slack"),
    ("npm_", "npm"),
    ("AKIA", "AWS"),
    ("eyJ", "JWT"),
];

/// Shortest credential that is taken for one, in characters.
const SHORTEST: usize = 16;

/// Names of query parameters and of members of the body that hold credentials, in lower case
/// and without hyphens and underscores.
const NAMES: [&str; 12] = [
    "token",
    "accesstoken",
    "circletoken",
    "apitoken",
    "authtoken",
    "privatetoken",
    "triggertoken",
    "secret",
    "clientsecret",
    "password",
    "passwd",
    "apikey",
];

/// What the text gives away, if anything.
pub(super) fn inline(spot: &Spot<'_>) -> Option<Finding> {
    if has_stars(&spot.text) {
        return Some(hidden(spot));
    }
    let what = match spot.kind {
        Kind::Url => in_url(&spot.text),
        Kind::Header(name) => in_header(name, &spot.text),
        Kind::Password => is_literal(&spot.text).then(|| "the password".to_owned()),
        Kind::Body(Some(key)) => in_member(key, &spot.text),
        Kind::Body(None) | Kind::BodyKey | Kind::Username => None,
    };
    let what = what.or_else(|| well_known(&spot.text).map(|owner| format!("a {owner} token")))?;
    let what = format!(
        "{what} is written into the webhook: whoever may read, export or back up webhooks has it"
    );
    Some(Finding::new(LintRule::InlineSecret, &spot.pointer, what, fix(spot.kind)))
}

fn fix(kind: Kind<'_>) -> &'static str {
    match kind {
        Kind::Header(name) if name.eq_ignore_ascii_case("authorization") => {
            "store it with `postrider secrets set NAME` and write Bearer ${user.NAME}"
        }
        Kind::Url => {
            "store it with `postrider secrets set NAME` and write ${user.NAME} in its place, in a \
             header or in request.password where the target takes it there"
        }
        Kind::Header(_) | Kind::Password | Kind::Body(_) | Kind::BodyKey | Kind::Username => {
            "store it with `postrider secrets set NAME` and write ${user.NAME}"
        }
    }
}

fn hidden(spot: &Spot<'_>) -> Finding {
    let what = "the value is starred, so it was not looked at";
    let fix = "lint the file that it was applied from";
    Finding::new(LintRule::Hidden, &spot.pointer, what, fix)
}

/// Something that nothing will be filled into.
pub(crate) fn is_literal(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains("${")
}

fn in_header(name: &str, value: &str) -> Option<String> {
    (is_secret_name(name) && is_literal(value)).then(|| format!("the value of {name}"))
}

fn in_member(key: &str, value: &str) -> Option<String> {
    (is_secret_member(key) && is_literal(value)).then(|| format!("the value of {key}"))
}

/// Whether a query parameter, or a member of a body, of this name holds a credential.
pub(crate) fn is_secret_member(name: &str) -> bool {
    let plain = name.replace(['-', '_'], "").to_ascii_lowercase();
    NAMES.contains(&plain.as_str())
}

fn in_url(text: &str) -> Option<String> {
    let template = Template::parse(text);
    let with = |stand_in: &str| Url::parse(&template.with_stand_in(stand_in)).ok();
    let (filled, bare) = (with("x")?, with("")?);
    let has_password = bare.password().is_some_and(|password| !password.is_empty());
    let is_token = filled.password().is_none() && !bare.username().is_empty();
    if has_password || is_token {
        return Some("the user information".to_owned());
    }
    if is_secret_address(&bare) {
        return Some("the address itself".to_owned());
    }
    bare.query_pairs()
        .find(|(name, value)| is_secret_member(name) && is_literal(value))
        .map(|(name, _)| format!("the value of {name}"))
}

/// Whether whoever knows the address may post there: incoming webhooks of Slack, Discord and
/// Teams, whose paths end in a token. `url` has nothing in the place of its placeholders.
fn is_secret_address(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    let last_is_given = segments.last().is_some_and(|last| !last.is_empty());
    let is_one = match segments.as_slice() {
        ["services", _, _, _] | ["workflows" | "triggers", ..] => {
            matches!(host, "hooks.slack.com" | "hooks.slack-gov.com")
        }
        ["api", "webhooks", _, _] | ["api", _, "webhooks", _, _] => {
            matches!(
                host,
                "discord.com" | "discordapp.com" | "canary.discord.com" | "ptb.discord.com"
            )
        }
        ["webhook" | "webhookb2", ..] => {
            host == "outlook.office.com" || host.ends_with(".webhook.office.com")
        }
        _ => false,
    };
    is_one && last_is_given
}

/// Whether a token of one of the well-known services stands somewhere in the text.
pub(crate) fn is_well_known(text: &str) -> bool {
    well_known(text).is_some()
}

/// Whose token stands somewhere in the text.
fn well_known(text: &str) -> Option<&'static str> {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let words = text.split(|c| !is_inside(c)).filter(|word| word.len() >= SHORTEST);
    words.into_iter().find_map(|word| {
        let (_, owner) = PREFIXES.iter().find(|(prefix, _)| word.starts_with(prefix))?;
        // A JWT has three parts; other words may begin like one.
        let is_token = *owner != "JWT" || word.split('.').count() == 3;
        is_token.then_some(*owner)
    })
}
