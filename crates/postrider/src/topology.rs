//! `postrider topology`: what exists in RabbitMQ, without asking RabbitMQ.

use std::process::ExitCode;

use postrider_cli::{Exit, Format, Out};
use postrider_queue::{Argument, ExchangeKind, Queue, topology};
use serde_json::{Map, Value, json};

/// Prints exchanges, queues, bindings and arguments.
pub(crate) fn print(format: Format, out: &mut Out) -> ExitCode {
    let topology = topology();
    let kind = |kind| match kind {
        ExchangeKind::Direct => "direct",
        ExchangeKind::Fanout => "fanout",
    };
    match format {
        Format::Json => {
            let exchanges: Vec<Value> = topology
                .exchanges
                .iter()
                .map(|exchange| json!({ "name": exchange.name, "type": kind(exchange.kind), "durable": true }))
                .collect();
            let queues: Vec<Value> = topology.queues.iter().map(queue_json).collect();
            out.json(&json!({ "exchanges": exchanges, "queues": queues }));
        }
        Format::Table => {
            let exchanges = topology.exchanges.iter();
            let rows = exchanges
                .map(|exchange| vec![exchange.name.clone(), kind(exchange.kind).to_owned()]);
            out.table(&["exchange", "type"], rows.collect(), "no exchanges");
            out.line("");
            let rows = topology.queues.iter().map(|queue| {
                vec![
                    queue.name.clone(),
                    queue.exchange.clone(),
                    queue.routing_key.clone(),
                    arguments(queue),
                ]
            });
            out.table(
                &["queue", "bound to", "routing key", "arguments"],
                rows.collect(),
                "no queues",
            );
        }
    }
    Exit::Fine.into()
}

fn value(argument: &Argument) -> Value {
    match argument {
        Argument::Text(text) => json!(text),
        Argument::Number(number) => json!(number),
    }
}

fn queue_json(queue: &Queue) -> Value {
    let arguments: Map<String, Value> = queue
        .arguments
        .iter()
        .map(|(name, argument)| ((*name).to_owned(), value(argument)))
        .collect();
    json!({
        "name": queue.name,
        "durable": true,
        "exchange": queue.exchange,
        "routing_key": queue.routing_key,
        "arguments": arguments,
    })
}

fn arguments(queue: &Queue) -> String {
    let shown = |(name, argument): &(&str, Argument)| match argument {
        Argument::Text(text) => format!("{name}={text}"),
        Argument::Number(number) => format!("{name}={number}"),
    };
    queue.arguments.iter().map(shown).collect::<Vec<_>>().join(" ")
}
