//! `postrider webhooks apply`: plan, and with `--yes` act.

use postrider_api::broker::{Difference, brief};
use postrider_api::{FieldError, WebhookCheck};
use reqwest::Method;
use serde_json::{Value, json};

use super::args::ApplyArgs;
use super::file;
use super::plan::{Action, Step, name, plan};
use super::read::{documents, uuids};
use crate::{Api, Body};
use crate::{Connection, Exit, Failure, Format, Out, complain, printable};

/// Characters of a value in the plan.
const MAX_SHOWN: usize = 100;

/// Carries it out: exit 1 if the server refused any document.
pub(super) async fn run(
    args: &ApplyArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let wanted = file::read(&args.file)?;
    let api = connect(&args.connection)?;
    let existing = documents(&api, &uuids(&api).await?).await?;
    let mut steps = plan(wanted, &existing, args.replace)?;
    look_behind_stars(&api, &mut steps).await?;
    let format = args.output.format();
    if format == Format::Table {
        for step in &steps {
            print_step(step, out);
        }
    }
    let judged = judge(&api, &steps).await?;
    for (step, Judged { warnings, .. }) in steps.iter().zip(&judged) {
        for warning in warnings {
            let name = name(&step.document);
            complain(&printable(&format!("warning: {name}: {warning}")));
        }
    }
    let mut done: Vec<_> = judged.iter().map(|judged| judged.refusal.clone()).collect();
    let acts = args.yes && done.iter().all(Option::is_none);
    if acts {
        for (step, outcome) in steps.iter().zip(&mut done) {
            *outcome = act(&api, step).await?.map(|refusal| refusal.message);
        }
    }
    for (step, refusal) in steps.iter().zip(&done) {
        if let Some(refusal) = refusal {
            complain(&format!("error: {}: {refusal}", printable(&name(&step.document))));
        }
    }
    let refused = done.iter().flatten().count();
    match format {
        Format::Json => {
            out.json(&json!({ "applied": acts, "webhooks": rows(&steps, &done, &judged) }));
        }
        Format::Table => print_summary(&steps, acts, refused, out),
    }
    Ok(if refused == 0 { Exit::Fine } else { Exit::No })
}

/// What the server stars it alone can compare: whether a document names other secrets there.
async fn look_behind_stars(api: &Api, steps: &mut [Step]) -> Result<(), Failure> {
    for step in steps {
        let (uuid, mut differences, hidden) = match &step.action {
            Action::Unchanged { uuid, hidden } => (uuid.clone(), Vec::new(), hidden.clone()),
            Action::Replace { uuid, differences, hidden } => {
                (uuid.clone(), differences.clone(), hidden.clone())
            }
            Action::Create => continue,
        };
        if hidden.is_empty() {
            continue;
        }
        let mut document = step.document.clone();
        document["uuid"] = json!(uuid);
        let checked = check(api, &document).await?;
        let (changed, hidden): (Vec<String>, Vec<String>) =
            hidden.into_iter().partition(|field| checked.hidden_changes.contains(field));
        differences.extend(changed.into_iter().map(|field| Difference {
            field,
            now: json!("starred, with another secret"),
            wanted: json!("as in the file"),
        }));
        step.action = if differences.is_empty() {
            Action::Unchanged { uuid, hidden }
        } else {
            Action::Replace { uuid, differences, hidden }
        };
    }
    Ok(())
}

/// What the server would say of a document.
pub(super) async fn check(api: &Api, document: &Value) -> Result<WebhookCheck, Failure> {
    api.post(&["api", "v1", "webhooks", "check"], document).await
}

/// What the server says of a document before anything is changed.
#[derive(Debug, Default)]
struct Judged {
    /// Why it would be refused.
    refusal: Option<String>,
    /// What its owner should know if it is taken.
    warnings: Vec<String>,
}

async fn judge(api: &Api, steps: &[Step]) -> Result<Vec<Judged>, Failure> {
    let mut judged = Vec::with_capacity(steps.len());
    for step in steps {
        let mut document = step.document.clone();
        match &step.action {
            Action::Unchanged { .. } => {
                judged.push(Judged::default());
                continue;
            }
            Action::Create => {}
            Action::Replace { uuid, .. } => document["uuid"] = json!(uuid),
        }
        let checked = check(api, &document).await?;
        judged.push(Judged { refusal: faults(&checked), warnings: checked.warnings });
    }
    Ok(judged)
}

/// Why the server would refuse a document; `None` when it would take it.
pub(crate) async fn refusal(api: &Api, document: &Value) -> Result<Option<String>, Failure> {
    Ok(faults(&check(api, document).await?))
}

fn faults(checked: &WebhookCheck) -> Option<String> {
    let told = checked.errors.iter().map(|FieldError { pointer, detail }| {
        let place = if pointer.is_empty() { "-" } else { pointer };
        printable(&format!("{place} {detail}"))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Does one step; `Some` when the server refused the document itself.
async fn act(api: &Api, step: &Step) -> Result<Option<Failure>, Failure> {
    let given = step.document.get("uuid").and_then(Value::as_str);
    let (method, path) = match (&step.action, given) {
        (Action::Unchanged { .. }, _) => return Ok(None),
        (Action::Create, None) => (Method::POST, vec!["webhooks"]),
        (Action::Create, Some(uuid)) => (Method::PUT, vec!["webhooks", uuid]),
        (Action::Replace { uuid, .. }, _) => (Method::PUT, vec!["webhooks", uuid.as_str()]),
    };
    let answer = api.call(method, &path, &[], Body::Json(&step.document)).await?;
    if answer.status.is_success() {
        return Ok(None);
    }
    let refusal = api.refusal(&answer);
    if refusal.exit == Exit::No { Ok(Some(refusal)) } else { Err(refusal) }
}

fn print_step(step: &Step, out: &mut Out) {
    let name = printable(&name(&step.document));
    match &step.action {
        Action::Create => out.line(format_args!("create     {name}")),
        Action::Replace { uuid, differences, hidden } => {
            out.line(format_args!("replace    {name} ({uuid})"));
            print_differences(differences, out);
            for field in hidden {
                out.line(format_args!(
                    "             {field}: starred by the server, sent as in the file"
                ));
            }
        }
        Action::Unchanged { uuid, hidden } => {
            out.line(format_args!("unchanged  {name} ({uuid})"));
            for field in hidden {
                out.line(format_args!(
                    "             {field}: starred by the server, not compared (--replace sends it)"
                ));
            }
        }
    }
}

/// One line a field.
pub(crate) fn print_differences(differences: &[Difference], out: &mut Out) {
    for difference in differences {
        let (now, wanted) = (text(&difference.now), text(&difference.wanted));
        let (now, wanted) = brief(&now, &wanted, MAX_SHOWN);
        out.line(format_args!("             {}: {now} -> {wanted}", difference.field));
    }
}

fn text(value: &Value) -> String {
    if value.is_null() { "nothing".to_owned() } else { printable(&value.to_string()) }
}

fn print_summary(steps: &[Step], acted: bool, refused: usize, out: &mut Out) {
    let creates = steps.iter().filter(|step| step.action == Action::Create).count();
    let replaces =
        steps.iter().filter(|step| matches!(step.action, Action::Replace { .. })).count();
    let unchanged = steps.len() - creates - replaces;
    let told = if refused > 0 { format!(", {refused} refused") } else { String::new() };
    out.line(format_args!(
        "{creates} to create, {replaces} to replace, {unchanged} unchanged{told}"
    ));
    if !acted && refused > 0 {
        out.line("nothing was changed: correct what is refused first");
    } else if !acted && creates + replaces > 0 {
        out.line("nothing was changed yet: add --yes to apply the plan");
    }
}

fn rows(steps: &[Step], done: &[Option<String>], judged: &[Judged]) -> Vec<Value> {
    let row = |((step, refusal), judged): ((&Step, &Option<String>), &Judged)| {
        let (action, uuid, differences) = match &step.action {
            Action::Create => ("create", step.document.get("uuid").and_then(Value::as_str), None),
            Action::Replace { uuid, differences, .. } => {
                ("replace", Some(uuid.as_str()), Some(differences))
            }
            Action::Unchanged { uuid, .. } => ("unchanged", Some(uuid.as_str()), None),
        };
        let fields: Vec<Value> = differences
            .into_iter()
            .flatten()
            .map(|difference| {
                json!({ "field": difference.field, "now": difference.now, "wanted": difference.wanted })
            })
            .collect();
        json!({
            "description": step.document.get("description"),
            "uuid": uuid,
            "action": action,
            "differences": fields,
            "refused": refusal,
            "warnings": judged.warnings,
        })
    };
    steps.iter().zip(done).zip(judged).map(row).collect()
}
