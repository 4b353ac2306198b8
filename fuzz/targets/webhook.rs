//! A webhook's document as a client sends it: taken, or refused with at least one error.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    postrider_web::fuzz::webhook(body);
});
