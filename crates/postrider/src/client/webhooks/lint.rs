//! `postrider webhooks lint`: findings of files, or of what is stored at a running postrider.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use postrider_render::{Finding, LintRule, Linted, Severity, lint};
use serde_json::{Value, json};

use super::document::{self, Fault};
use super::{LintArgs, PARALLEL, documents, file, last_delivery, plan, uuids};
use crate::cli::{Connection, Exit, Failure, Format, Out, cell, printable};
use crate::client::Api;

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
            lint(linted).into_iter().map(Row::from).collect()
        }
        Err(faults) => faults.into_iter().map(Row::from).collect(),
    };
    Checked { webhook, rows }
}

/// What a running postrider has. It stars credentials, but its lanes tell of them.
async fn stored(api: &Api) -> Result<Vec<Checked>, Failure> {
    let webhooks = documents(api, &uuids(api).await?).await?;
    let secrets = names(&api.get(&["api", "v1", "secrets"], &[]).await?, "secrets");
    let lanes = api.get(&["api", "v1", "lanes"], &[]).await?;
    let causes: BTreeMap<String, String> =
        rows_of(&lanes, "lanes").map(|lane| (cell(lane, "name"), cell(lane, "cause"))).collect();
    let (secrets, causes) = (&secrets, &causes);
    stream::iter(webhooks)
        .map(|webhook| async move {
            let mut checked = check(webhook, Some(secrets));
            if checked.rows.iter().any(|row| row.rule == LintRule::Hidden.as_str()) {
                let lane = cell(&last_delivery(api, &checked.webhook).await?, "lane");
                let cause = causes.get(&lane).map_or("-", String::as_str);
                checked.rows.extend(told_by_lane(&lane, cause));
            }
            Ok(checked)
        })
        .buffered(PARALLEL)
        .try_collect()
        .await
}

/// A lane is called after the credential that its webhooks use.
fn told_by_lane(lane: &str, cause: &str) -> Option<Row> {
    let credential = lane.rsplit('/').next().unwrap_or_default();
    let inline = ["inline-", "basic-"].iter().any(|prefix| credential.starts_with(prefix));
    let (rule, what, fix) = if inline {
        let what = format!("its lane {lane} says that a credential is written into the webhook");
        let fix = "store it with `postrider secrets set NAME` and write ${user.NAME}";
        (LintRule::InlineSecret, what, fix.to_owned())
    } else if cause == "secret_missing" {
        let what = format!("its lane {lane} is held: a secret that it names has no value");
        (LintRule::UnknownSecret, what, format!("postrider secrets set {credential}"))
    } else {
        return None;
    };
    let pointer = "/request".to_owned();
    Some(Row { rule: rule.as_str(), severity: Severity::Error, pointer, what, fix })
}

fn rows_of<'a>(answer: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn names(answer: &Value, key: &str) -> BTreeSet<String> {
    rows_of(answer, key).map(|row| cell(row, "name")).collect()
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
        checked.iter().flat_map(|one| &one.rows).filter(|row| row.severity == severity).count()
    };
    out.line(format_args!(
        "{} webhooks checked: {} errors, {} warnings, {} notes",
        checked.len(),
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Note)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_tell_of_starred_credentials() {
        let rule = |lane, cause| told_by_lane(lane, cause).map(|row| row.rule);
        assert_eq!(rule("api.github.com/inline-0a1b2c3d", "-"), Some("inline_secret"));
        assert_eq!(rule("h:8080/basic-0a1b2c3d", "-"), Some("inline_secret"));
        assert_eq!(rule("api.github.com/githubToken", "secret_missing"), Some("unknown_secret"));
        assert_eq!(rule("api.github.com/githubToken", "credential"), None);
        assert_eq!(rule("-", "-"), None);
    }
}
