//! What the OpenAPI document says of `POST /events`.

use postrider_api::{AcceptedEvent, CloudEvent, Event, EventResult, Problem};
use postrider_http_server::openapi::{Operation, Tag, refer};
use serde_json::{Value, json};

/// An event on each line.
const LINE: &str = "{\"event_name\": \"contract_published\", \"consumer\": {\"name\": \
                    \"checkout\"}, \"provider\": {\"name\": \"billing\"}}\n";

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

pub(crate) fn described() -> Operation {
    refused(accepted(taken(
        Operation::new(Tag::Intake, "postEvents", "Take events in")
            .description(
                "One event, an array, JSON lines, a CloudEvent (structured or binary) or a batch \
                 of them: at most 10,000 events or 8 MiB, 1 MiB an event. 202 is answered after \
                 the events and their deliveries are on disk. An event is known by \
                 `Idempotency-Key` (in a batch with its index), else by `id`, else by the \
                 CloudEvent's `source` and `id`; a repeat sends nothing.",
            )
            .knows::<Event>()
            .knows::<CloudEvent>()
            .knows::<AcceptedEvent>()
            .knows::<EventResult>(),
    )))
}

fn taken(operation: Operation) -> Operation {
    let text = json!({"type": "string"});
    let key = json!({"type": "string", "minLength": 1, "maxLength": 255});
    let lines = json!({"type": "string", "description": "An event on each line."});
    let several =
        |items: &Value| json!({"type": "array", "minItems": 1, "maxItems": 10_000, "items": items});
    let (event, cloud) = (refer::<Event>(), refer::<CloudEvent>());
    let one_or_more = json!({"anyOf": [event, several(&event)]});
    operation
        .query_text("source", "`reconcile` where what was lost is sent again; else left out.")
        .header("Idempotency-Key", "Idempotency key of the call, printable ASCII.", &key)
        .header("ce-specversion", "CloudEvent in binary mode: always `1.0`.", &text)
        .header("ce-id", "CloudEvent in binary mode: its id.", &text)
        .header("ce-source", "CloudEvent in binary mode: its source.", &text)
        .header(
            "ce-type",
            "CloudEvent in binary mode: the event name, optionally after a dotted prefix; the \
             body need not repeat it.",
            &text,
        )
        .header("ce-time", "CloudEvent in binary mode: when it happened.", &text)
        .takes_as(JSON, &one_or_more, event_example())
        .takes_as("application/x-ndjson", &lines, LINE)
        .takes_as("application/ndjson", &lines, LINE)
        .takes_as("application/jsonl", &lines, LINE)
        .takes_as("application/cloudevents+json", &cloud, cloud_example())
        .takes_as("application/cloudevents-batch+json", &several(&cloud), [cloud_example()])
}

fn accepted(operation: Operation) -> Operation {
    let each = json!({"type": "array", "items": refer::<EventResult>()});
    let schema = json!({"oneOf": [refer::<AcceptedEvent>(), each]});
    let description = "Accepted: one object for one event, else an array in order, of which at \
                       least one was accepted.";
    operation.answers_as(202, description, JSON, &schema).example(202, accepted_example())
}

/// Several events of which none was accepted are answered one by one.
fn refused(operation: Operation) -> Operation {
    let each = json!({
        "description": "For several events of which none was accepted.",
        "type": "array",
        "items": refer::<EventResult>(),
    });
    let all = [
        (400, "An event, or the body, is wrong: the answer names the place."),
        (413, "The body, or an event, is too large."),
        (422, "The event name is unknown, or the key was used for an event with other content."),
        (503, "The store is away, or too much waits: nothing was done half."),
    ];
    let operation = all.into_iter().fold(operation, |operation, (status, description)| {
        operation.answers_as(status, description, PROBLEM, &refer::<Problem>()).answers_as(
            status,
            description,
            JSON,
            &each,
        )
    });
    operation.answers_header(503, "Retry-After", "Seconds after which a repeat is worth it.")
}

/// What is answered to one event.
pub(crate) fn accepted_example() -> Value {
    let delivery = json!({
        "id": "01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8f", "webhook_uuid": "2LCteR1tS9v0HLxPmpkNaA",
    });
    json!({
        "event_id": "01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e",
        "deliveries": [delivery],
        "duplicate": false,
    })
}

fn event_example() -> Value {
    json!({
        "id": "build-4711",
        "event_name": "contract_requiring_verification_published",
        "occurred_at": "2026-11-21T09:00:00Z",
        "broker": "default",
        "consumer": {
            "name": "checkout", "version_number": "1", "branch": "main", "tags": ["a"],
            "labels": [],
        },
        "provider": {
            "name": "billing", "version_number": "9f2", "branch": "main", "tags": [],
            "labels": [], "version_descriptions": ["latest from main branch"],
        },
        "pact_url":
            "https://broker.example.org/pacts/provider/billing/consumer/checkout/version/1",
        "verification_result_url": "",
        "verification_success": null,
        "build_url": "",
        "currently_deployed_provider_version_number": "",
    })
}

fn cloud_example() -> Value {
    json!({
        "specversion": "1.0",
        "id": "4711",
        "source": "/builds",
        "type": "org.example.contract_published",
        "time": "2026-11-21T09:00:00Z",
        "data": {"consumer": {"name": "checkout"}, "provider": {"name": "billing"}},
    })
}
