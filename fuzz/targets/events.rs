//! What callers and brokers post: events as JSON and JSON lines, and the calls of a broker's
//! webhook, of which the first line is the query.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_ingest::fuzz;

fuzz_target!(|body: &[u8]| {
    fuzz::events("application/json", &[], body);
    fuzz::events("application/x-ndjson", &[], body);
    let end = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
    let (query, rest) = body.split_at(end);
    if let Ok(query) = str::from_utf8(query) {
        fuzz::relay(query, rest.get(1..).unwrap_or_default());
    }
});
