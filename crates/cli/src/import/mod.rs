//! `postrider webhooks import`: a broker's webhooks are recreated here, and the originals switched
//! off once their copies have passed a test.

mod act;
mod copy;
mod map;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use clap::Args;
use postrider_api::SecretList;
use postrider_broker::Broker;
use postrider_domain::WebhookUuid;
use postrider_render::secret_names;
use serde_json::{Value, json};

use super::Api;
use super::broker::{BrokerAccess, Env};
use super::broker_webhooks::webhooks;
use super::webhooks::plan::{Action, name};
use super::webhooks::{document, documents, print_differences, refusal};
use crate::pages::read_all;
use crate::{Connection, Exit, Failure, Format, Out, OutputArgs, cell, complain, printable};
use act::Outcome;
use copy::{Decision, Step, example};
use map::Mapping;

/// From where, and which secrets its stars stand for.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Address of the broker whose webhooks are brought over
    #[arg(long, value_name = "URL")]
    from_broker: String,
    #[command(flatten)]
    access: BrokerAccess,
    #[arg(
        long,
        value_name = "HEADER-OR-VALUE=${user.NAME}",
        value_parser = Mapping::parse,
        help = "Secret for a starred header or password, or for a value; UUID:… for one webhook only"
    )]
    map: Vec<Mapping>,
    /// Switch each original off at the broker, once its copy has passed a test here
    #[arg(long)]
    disable_source: bool,
    /// Replace also where only values that the server stars could differ
    #[arg(long)]
    replace: bool,
    /// Do it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out: exit 1 if any webhook could not be brought over or switched off.
pub(crate) async fn run(
    args: &ImportArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    env: &Env,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let broker = args.access.connect(Some(&args.from_broker), env)?;
    let api = connect(&args.connection)?;
    let steps = planned(args, &broker, &api).await?;
    if args.output.format() == Format::Table {
        for step in &steps {
            print_step(step, out);
        }
    }
    let outcomes = if args.yes {
        let outcomes = act::act(&api, &broker, &steps, args.disable_source).await?;
        for (step, outcome) in steps.iter().zip(&outcomes) {
            tell(step, outcome, args.output.format(), out);
        }
        outcomes
    } else {
        steps.iter().map(|_| Outcome::default()).collect()
    };
    match args.output.format() {
        Format::Json => out.json(&as_json(&steps, &outcomes, args.yes)),
        Format::Table => print_summary(args, &steps, &outcomes, out),
    }
    let needs =
        steps.iter().any(|step| matches!(step.decision, Decision::Needs(_) | Decision::Refused(_)));
    let failed = outcomes.iter().any(|outcome| outcome.problem.is_some());
    Ok(if needs || failed { Exit::No } else { Exit::Fine })
}

async fn planned(args: &ImportArgs, broker: &Broker, api: &Api) -> Result<Vec<Step>, Failure> {
    let sources = webhooks(broker).await?;
    let uuids: Vec<String> = sources
        .iter()
        .filter_map(|webhook| webhook.get("uuid")?.as_str())
        .filter(|uuid| uuid.parse::<WebhookUuid>().is_ok())
        .map(str::to_owned)
        .collect();
    let here = documents(api, &uuids).await?;
    let (mut steps, used) = copy::plan(sources, &here, &args.map, args.replace);
    for step in &mut steps {
        if let Decision::Copy { document, action: Action::Create | Action::Replace { .. } } =
            &step.decision
            && let Some(why) = refusal(api, document).await?
        {
            step.decision = Decision::Refused(why);
        }
    }
    for (index, mapping) in args.map.iter().enumerate().filter(|(index, _)| !used[*index]) {
        complain(&format!("note: {} has no place in any webhook", mapping.shown(index + 1)));
    }
    if args.disable_source && !steps.iter().any(|step| step.decision == Decision::Relay) {
        complain(
            "note: the broker has no relay to postrider: once its webhooks are off, events arrive \
             here only if something else publishes them (`postrider connect`)",
        );
    }
    for secret in without_value(api, &steps).await? {
        complain(&format!(
            "note: the secret {secret} has no value here yet: postrider secrets set {secret}"
        ));
    }
    Ok(steps)
}

/// Names of secrets that the copies use and that postrider doesn't have.
async fn without_value(api: &Api, steps: &[Step]) -> Result<BTreeSet<String>, Failure> {
    let used: BTreeSet<String> = steps
        .iter()
        .filter_map(|step| match &step.decision {
            Decision::Copy { document, .. } => document::read(document).ok(),
            Decision::Relay | Decision::Needs(_) | Decision::Refused(_) => None,
        })
        .flat_map(|document| secret_names(&document.request))
        .collect();
    if used.is_empty() {
        return Ok(used);
    }
    let secrets = read_all::<SecretList>(api, "secrets").await?;
    let stored: BTreeSet<String> = secrets.into_iter().map(|secret| secret.name.0).collect();
    Ok(used.difference(&stored).cloned().collect())
}

fn print_step(step: &Step, out: &mut Out) {
    let uuid = printable(&cell(&step.source, "uuid"));
    let name = printable(&name(&step.source));
    match &step.decision {
        Decision::Relay => {
            out.line(format_args!("skip       {name} ({uuid}): relays to postrider"));
        }
        Decision::Refused(why) => {
            out.line(format_args!("refused    {name} ({uuid})"));
            out.line(format_args!("             {why}"));
        }
        Decision::Needs(fields) => {
            out.line(format_args!("needs      {name} ({uuid})"));
            for field in fields {
                out.line(format_args!(
                    "             needs a secret: {} is starred, name it with {}",
                    printable(field),
                    printable(&example(field))
                ));
            }
        }
        Decision::Copy { action, .. } => match action {
            Action::Create => out.line(format_args!("create     {name} ({uuid})")),
            Action::Unchanged { .. } => out.line(format_args!("unchanged  {name} ({uuid})")),
            Action::Replace { differences, .. } => {
                out.line(format_args!("replace    {name} ({uuid})"));
                print_differences(differences, out);
            }
        },
    }
}

/// What became of a step, as far as it went beyond the plan.
fn tell(step: &Step, outcome: &Outcome, format: Format, out: &mut Out) {
    let name = printable(&name(&step.source));
    if let Some(problem) = &outcome.problem {
        complain(&format!("error: {name}: {}", printable(problem)));
    } else if outcome.switched_off && format == Format::Table {
        out.line(format_args!("tested and switched off at the broker: {name}"));
    }
}

fn print_summary(args: &ImportArgs, steps: &[Step], outcomes: &[Outcome], out: &mut Out) {
    let count = |wanted: &str| steps.iter().filter(|step| word(step) == wanted).count();
    let failed = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    let failed = failed + count("refused");
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    out.line(format_args!(
        "{} to create, {} to replace, {} unchanged, {} need a secret, {} skipped{failed}",
        count("create"),
        count("replace"),
        count("unchanged"),
        count("needs_secret"),
        count("skip"),
    ));
    let waits = count("create") + count("replace") > 0 || args.disable_source;
    if !args.yes && waits {
        out.line("nothing was changed yet: add --yes to do it");
    } else if args.yes && !args.disable_source && count("create") > 0 {
        out.line(
            "the originals are still on: with the relay connected each event is sent twice until \
             --disable-source switches them off",
        );
    }
}

fn word(step: &Step) -> &'static str {
    match &step.decision {
        Decision::Relay => "skip",
        Decision::Needs(_) => "needs_secret",
        Decision::Refused(_) => "refused",
        Decision::Copy { action: Action::Create, .. } => "create",
        Decision::Copy { action: Action::Replace { .. }, .. } => "replace",
        Decision::Copy { action: Action::Unchanged { .. }, .. } => "unchanged",
    }
}

fn as_json(steps: &[Step], outcomes: &[Outcome], applied: bool) -> Value {
    let row = |(step, outcome): (&Step, &Outcome)| {
        let needs: &[String] = match &step.decision {
            Decision::Needs(fields) => fields,
            Decision::Relay | Decision::Refused(_) | Decision::Copy { .. } => &[],
        };
        let refused = match &step.decision {
            Decision::Refused(why) => Some(why),
            Decision::Relay | Decision::Needs(_) | Decision::Copy { .. } => None,
        };
        json!({
            "uuid": step.source.get("uuid"),
            "description": step.source.get("description"),
            "action": word(step),
            "needs": needs,
            "problem": outcome.problem.as_ref().or(refused),
            "tested": outcome.tested,
            "source_disabled": outcome.switched_off,
        })
    };
    let rows: Vec<Value> = steps.iter().zip(outcomes).map(row).collect();
    json!({ "applied": applied, "webhooks": rows })
}
