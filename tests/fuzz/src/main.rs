//! Inputs that a fuzzer makes up, for everything that reads what others send. `FUZZ_TARGET` names
//! what reads them; `tests/fuzz/run` starts it.
#![no_main]
#![expect(missing_docs, reason = "the macro makes items without any")]

mod targets;

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = targets::ALL.iter().find(|(known, _)| *known == name);
    found.map_or_else(
        || {
            let known: Vec<&str> = targets::ALL.iter().map(|(known, _)| *known).collect();
            panic!("FUZZ_TARGET has to be one of {}", known.join(", "))
        },
        |(_, run)| *run,
    )
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
