//! Reads a call of a broker's webhook for the program that fuzzes it (`fuzz/`).

use std::time::Instant;

use super::{Identity, Params, event};

/// Query and body, as `POST /hooks/broker` does.
pub fn relay(query: &str, body: &[u8]) {
    let Ok(mut params) = Params::of_query(query) else { return };
    if params.add_body(body).is_err() {
        return;
    }
    if let Ok(event) = event::event("default".to_owned(), &params) {
        drop(Identity::of(&event, Instant::now()));
    }
}
