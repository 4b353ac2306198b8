//! `postrider webhooks test`: sends a webhook's request once, now, and shows what came of it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::args::OneArgs;
use crate::{Api, Body};
use crate::{Exit, Failure, Format, Out, printable};

/// Carries it out: exit 1 if the target refused.
pub(super) async fn run(api: &Api, args: &OneArgs, out: &mut Out) -> Result<Exit, Failure> {
    let outcome = execute(api, args.uuid.as_str()).await?;
    match args.output.format() {
        Format::Json => out.json(&outcome),
        Format::Table => print(&outcome, out),
    }
    Ok(if succeeded(&outcome) { Exit::Fine } else { Exit::No })
}

/// Runs it at postrider, which waits for the target's answer.
pub(crate) async fn execute(api: &Api, uuid: &str) -> Result<Value, Failure> {
    let path = ["webhooks", uuid, "execute"];
    let outcome: Value = api.send(Method::POST, &path, Body::Json(&json!({}))).await?;
    let is_outcome = outcome.get("success").is_some_and(Value::is_boolean);
    if is_outcome { Ok(outcome) } else { Err(api.other_server(StatusCode::OK)) }
}

/// Whether the target took it.
pub(crate) fn succeeded(outcome: &Value) -> bool {
    outcome.get("success").and_then(Value::as_bool) == Some(true)
}

fn print(outcome: &Value, out: &mut Out) {
    let logs = outcome.get("logs").and_then(Value::as_str).unwrap_or_default();
    for line in logs.lines() {
        out.line(printable(line));
    }
    out.line(if succeeded(outcome) { "the target took it" } else { "the target did not take it" });
}
