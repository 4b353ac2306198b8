//! `postrider secrets list`: secrets with what is known of them.

use clap::Args;
use postrider_api::{Credential, CredentialList, SecretInfo, SecretList};
use serde_json::{Map, Value, json};

use crate::pages::{LimitArgs, read_all};
use crate::{Api, Connection, Failure, Format, Out, OutputArgs, cell_of, printable};

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    most: LimitArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Carries it out.
pub(super) async fn run(api: &Api, args: &ListArgs, out: &mut Out) -> Result<(), Failure> {
    let mut secrets = read_all::<SecretList>(api, "secrets").await?;
    let mut known = read_all::<CredentialList>(api, "credentials").await?;
    let all = args.most.cut(&mut known);
    if known.len() < all {
        secrets.retain(|secret| known.iter().any(|one| one.name == secret.name.0));
    }
    match args.output.format() {
        Format::Json => out.json(&document(&secrets, &known, all)),
        Format::Table => {
            print(&secrets, &known, out);
            out.cut(known.len(), all);
        }
    }
    Ok(())
}

/// Each secret with what is known of it; what is written into webhooks beside.
fn document(secrets: &[SecretInfo], known: &[Credential], total: usize) -> Value {
    let of = |name: &str| known.iter().find(|one| one.name == name);
    let one = |secret| {
        let mut members = object(secret);
        let name = members.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        members.extend(of(&name).map(object).unwrap_or_default());
        Value::Object(members)
    };
    let all: Vec<Value> = secrets.iter().map(one).collect();
    let is_inline = |one: &&Credential| secrets.iter().all(|each| each.name.0 != one.name);
    let inline: Vec<&Credential> = known.iter().filter(is_inline).collect();
    json!({"secrets": all, "inline": inline, "total": total})
}

fn object(document: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(document) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    }
}

fn print(secrets: &[SecretInfo], known: &[Credential], out: &mut Out) {
    let rev = |one: &Credential| {
        let secret = secrets.iter().find(|secret| secret.name.0 == one.name);
        secret.map(|secret| secret.rev)
    };
    let row = |one: &Credential| {
        vec![
            cell_of(Some(&one.name)),
            cell_of(rev(one)),
            one.kind.as_str().to_owned(),
            one.used_by.webhooks.len().to_string(),
            cell_of(Some(one.used_by.lanes.join(" "))),
            cell_of(one.owner.as_ref()),
            cell_of(one.scopes.as_ref().map(|scopes| scopes.join(" "))),
            cell_of(one.expires_at),
            cell_of(one.last_success_at),
            cell_of(one.last_refusal_at),
            cell_of(one.pending.map(|pending| pending.since)),
        ]
    };
    let header = [
        "name",
        "revision",
        "kind",
        "webhooks",
        "lanes",
        "owner",
        "scopes",
        "expires",
        "last success",
        "last refusal",
        "pending since",
    ];
    out.table(&header, known.iter().map(row).collect(), "no secrets");
    for one in known {
        for warning in &one.warnings {
            out.line(format_args!("{}: {}", printable(&one.name), printable(&warning.detail)));
        }
    }
}
