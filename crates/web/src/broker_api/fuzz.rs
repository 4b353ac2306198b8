//! Reads a webhook's document for the program that fuzzes it (`fuzz/`).

use postrider_domain::HostWhitelist;

use super::rules::Rules;
use super::scope::Scope;
use super::{read, validate};

/// As `POST /webhooks` does. What is refused is refused with a reason.
pub fn webhook(body: &[u8]) {
    let Ok(document) = read::parse(body) else { return };
    let Ok(hosts) = HostWhitelist::parse("") else { return };
    let (schemes, methods) = (["https".to_owned()], ["POST".to_owned()]);
    let rules = Rules { schemes: &schemes, methods: &methods, hosts: &hosts };
    if let Err(errors) = validate::webhook(&document, &Scope::all(), &rules) {
        assert!(!errors.is_empty());
        drop(errors.by_key());
    }
}
