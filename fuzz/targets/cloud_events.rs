//! CloudEvents in all three modes: read or refused with a reason, and read the same way twice.
//! The first line of the input is the mode, or headers of the binary one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_ingest::fuzz;

fuzz_target!(|text: &str| {
    let (head, body) = text.split_once('\n').unwrap_or(("", text));
    let content_type = match head {
        "structured" => "application/cloudevents+json",
        "batch" => "application/cloudevents-batch+json",
        _ => "application/json",
    };
    let attributes: Vec<(&str, &str)> =
        head.split(';').filter_map(|header| header.split_once('=')).collect();
    fuzz::events(content_type, &attributes, body.as_bytes());
});
