//! `postrider webhooks lint`: findings of files, or of what is stored at a running postrider.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use postrider_api::{LaneList, SecretList};
use postrider_domain::{Extensions, HoldCause, counted};
use postrider_render::{Finding, LintRule, Linted, Severity, lint};
use serde_json::{Value, json};

use super::args::LintArgs;
use super::document::{self, Fault};
use super::read::{PARALLEL, documents, last_delivery, uuids};
use super::{apply, file, plan};
use crate::Api;
use crate::pages::read_all;
use crate::{Connection, Exit, Failure, Format, Out, printable};

/// What is said of one webhook.
#[derive(Debug)]
struct Checked {
    webhook: Value,
    rows: Vec<Row>,
}

/// One thing that is said.
#[derive(Debug)]
struct Row {
    rule: &'static str,
    severity: Severity,
    pointer: String,
    what: String,
    fix: String,
}

impl From<Finding> for Row {
    fn from(finding: Finding) -> Self {
        let Finding { rule, severity, pointer, what, fix } = finding;
        Self { rule: rule.as_str(), severity, pointer, what, fix }
    }
}

impl From<Fault> for Row {
    fn from(Fault { pointer, what, fix }: Fault) -> Self {
        Self { rule: "invalid_document", severity: Severity::Error, pointer, what, fix }
    }
}

/// Carries it out: exit 1 when anything is an error or a warning.
pub(super) async fn run(
    args: &LintArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let checked = match &args.file {
        Some(path) => file::read(path)?.into_iter().map(|webhook| check(webhook, None)).collect(),
        None => stored(&connect(&args.connection)?).await?,
    };
    if checked.is_empty() {
        return Err(Failure::usage("nothing was checked: no webhook is stored")
            .fix("name a file with -f, or apply webhooks first")
            .into());
    }
    match args.output.format() {
        Format::Json => out.json(&as_json(&checked)),
        Format::Table => print(&checked, out),
    }
    let counts = checked.iter().flat_map(|one| &one.rows).any(|row| row.severity > Severity::Note);
    Ok(if counts { Exit::No } else { Exit::Fine })
}

fn check(webhook: Value, secrets: Option<&BTreeSet<String>>) -> Checked {
    let rows = match document::read(&webhook) {
        Ok(read) => {
            let linted = Linted { request: &read.request, events: &read.events, secrets };
            let rows = lint(linted).into_iter().map(Row::from);
            let unsigned = secrets.and_then(|known| unsigned(&read.extensions, known));
            rows.chain(unsigned).collect()
        }
        Err(faults) => faults.into_iter().map(Row::from).collect(),
    };
    Checked { webhook, rows }
}

/// A webhook that can't be signed is held. A previous secret may lack.
fn unsigned(extensions: &Extensions, known: &BTreeSet<String>) -> Option<Row> {
    let name = &extensions.signing.as_ref()?.secret;
    (!known.contains(name)).then(|| Row {
        rule: LintRule::UnknownSecret.as_str(),
        severity: Severity::Error,
        pointer: "/postrider/signing/secret".to_owned(),
        what: format!("the secret {name} has no value, so its lane will be held"),
        fix: format!("postrider secrets set {name}"),
    })
}

/// What a running postrider has. It stars credentials, but tells which secrets stand behind the
/// stars, and its lanes tell of those that stand there themselves.
async fn stored(api: &Api) -> Result<Vec<Checked>, Failure> {
    let webhooks = documents(api, &uuids(api).await?).await?;
    let secrets = read_all::<SecretList>(api, "secrets").await?;
    let secrets: BTreeSet<String> = secrets.into_iter().map(|secret| secret.name.0).collect();
    let lanes = read_all::<LaneList>(api, "lanes").await?;
    let causes: BTreeMap<String, Option<HoldCause>> =
        lanes.into_iter().map(|lane| (lane.name, lane.cause)).collect();
    let (secrets, causes) = (&secrets, &causes);
    stream::iter(webhooks)
        .map(|webhook| async move {
            let mut checked = check(webhook, Some(secrets));
            if behind_stars(api, &mut checked, secrets).await? {
                return Ok(checked);
            }
            // This token may not ask: what was sent last tells less.
            if checked.rows.iter().any(|row| row.rule == LintRule::Hidden.as_str()) {
                let delivery = last_delivery(api, &checked.webhook).await?;
                let lane = delivery.map(|delivery| delivery.lane).unwrap_or_default();
                let cause = causes.get(&lane).copied().flatten();
                checked.rows.extend(told_by_lane(&lane, cause));
            }
            Ok(checked)
        })
        .buffered(PARALLEL)
        .try_collect()
        .await
}

/// What the server says of a webhook that it stars in part; `false` where the token may only read.
async fn behind_stars(
    api: &Api,
    checked: &mut Checked,
    known: &BTreeSet<String>,
) -> Result<bool, Failure> {
    let asked = match apply::check(api, &checked.webhook).await {
        Ok(asked) => asked,
        Err(failure) if failure.exit == Exit::Credential => return Ok(false),
        Err(failure) => return Err(failure),
    };
    let is_told = |name: &str| {
        checked.rows.iter().any(|row| {
            row.rule == LintRule::UnknownSecret.as_str()
                && row.what.split(' ').any(|word| word == name)
        })
    };
    let unknown: Vec<Row> = asked
        .secrets
        .iter()
        .filter(|name| !known.contains(*name) && !is_told(name))
        .map(|name| Row {
            rule: LintRule::UnknownSecret.as_str(),
            severity: Severity::Error,
            pointer: "/request".to_owned(),
            what: format!("the secret {name} has no value, so its lane will be held"),
            fix: format!("postrider secrets set {name}"),
        })
        .collect();
    checked.rows.extend(unknown);
    checked.rows.extend(told_by_lane(asked.lane.as_deref().unwrap_or_default(), None));
    let is_hidden = |row: &Row| row.rule == LintRule::Hidden.as_str();
    checked.rows.retain(|row| !is_hidden(row));
    Ok(true)
}

/// A lane is called after the credential that its webhooks use.
fn told_by_lane(lane: &str, cause: Option<HoldCause>) -> Option<Row> {
    let credential = lane.rsplit('/').next().unwrap_or_default();
    let inline = ["inline-", "basic-"].iter().any(|prefix| credential.starts_with(prefix));
    let (rule, what, fix) = if inline {
        let what = format!("its lane {lane} says that a credential is written into the webhook");
        let fix = "store it with `postrider secrets set NAME` and write ${user.NAME}";
        (LintRule::InlineSecret, what, fix.to_owned())
    } else if cause == Some(HoldCause::SecretMissing) {
        let what = format!("its lane {lane} is held: a secret that it names has no value");
        (LintRule::UnknownSecret, what, format!("postrider secrets set {credential}"))
    } else {
        return None;
    };
    let pointer = "/request".to_owned();
    Some(Row { rule: rule.as_str(), severity: Severity::Error, pointer, what, fix })
}

fn as_json(checked: &[Checked]) -> Value {
    let finding = |webhook: &Value, row: &Row| {
        json!({
            "webhook": plan::name(webhook),
            "uuid": webhook.get("uuid"),
            "pointer": row.pointer,
            "severity": row.severity.as_str(),
            "rule": row.rule,
            "what": row.what,
            "fix": row.fix,
        })
    };
    let findings: Vec<Value> = checked
        .iter()
        .flat_map(|one| one.rows.iter().map(|row| finding(&one.webhook, row)))
        .collect();
    json!({ "checked": checked.len(), "findings": findings })
}

fn print(checked: &[Checked], out: &mut Out) {
    for (index, one) in checked.iter().enumerate() {
        let name = Some(plan::name(&one.webhook)).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| format!("document {}", index + 1));
        for row in &one.rows {
            let severity = row.severity.as_str();
            out.line(format_args!("{severity:<8} {}: {}", printable(&name), row.pointer));
            out.line(format_args!("         {}", printable(&row.what)));
            out.line(format_args!("         fix: {}", printable(&row.fix)));
        }
    }
    let count = |severity| {
        let rows = checked.iter().flat_map(|one| &one.rows);
        rows.filter(|row| row.severity == severity).count() as u64
    };
    out.line(format_args!(
        "{} checked: {}, {}, {}",
        counted(checked.len() as u64, "webhook", "webhooks"),
        counted(count(Severity::Error), "error", "errors"),
        counted(count(Severity::Warning), "warning", "warnings"),
        counted(count(Severity::Note), "note", "notes")
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_tell_of_starred_credentials() {
        let rule = |lane, cause| told_by_lane(lane, cause).map(|row| row.rule);
        assert_eq!(rule("api.github.com/inline-0a1b2c3d", None), Some("inline_secret"));
        assert_eq!(rule("h:8080/basic-0a1b2c3d", None), Some("inline_secret"));
        assert_eq!(
            rule("api.github.com/githubToken", Some(HoldCause::SecretMissing)),
            Some("unknown_secret")
        );
        assert_eq!(rule("api.github.com/githubToken", Some(HoldCause::Credential)), None);
        assert_eq!(rule("", None), None);
    }
}
