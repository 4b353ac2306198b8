//! What is looked for of credentials.

use std::time::Duration;

use postrider_domain::Pattern;

use crate::declaration::{INGEST, Setting, WORKER};
use crate::kinds::{DAY, SECOND, duration};
use crate::section::settings;
use crate::value::{Raw, Wrong};

settings! {
    /// What is looked for of credentials.
    pub struct CredentialSettings {
        /// Who is expected to own GitHub tokens: logins, in which `*` stands for any characters.
        /// Others are warned of; `*` alone expects anybody.
        pub machine_users: Vec<Pattern> =
            Setting::new("MACHINE_USERS", "logins, separated by spaces", patterns)
                .of(INGEST)
                .example("pactflow-* acme-robot")
                .default("pactflow-*"),
        /// How often GitHub is asked whose a token is, and when it ends.
        pub interval: Duration =
            duration("CREDENTIAL_INTERVAL", SECOND, 30 * DAY).of(WORKER).example("12h").default("24h"),
    }
}

fn patterns(raw: &Raw) -> Result<Vec<Pattern>, Wrong> {
    let is_login = |c: char| c.is_ascii_alphanumeric() || "-_*[]".contains(c);
    let pattern = |item: &String| {
        if item.chars().all(is_login) {
            Ok(Pattern::parse(&item.to_lowercase()))
        } else {
            let fix = "write logins as GitHub has them, in which * stands for any characters";
            Err(Wrong::new(format!("{item:?} is no login"), fix))
        }
    };
    raw.items().iter().map(pattern).collect()
}
