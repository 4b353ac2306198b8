//! What commands read.

use secrecy::SecretString;
use url::Url;

use crate::declaration::{COMMAND, Setting};
use crate::kinds::http_url;
use crate::section::settings;
use crate::value::{Raw, Wrong};

settings! {
    /// How a command reaches a running postrider.
    pub(crate) struct CommandSettings {
        /// Address of postrider.
        pub(crate) url: Option<Url> =
            http_url("URL")
                .of(COMMAND)
                .example("https://postrider.example")
                .flag("URL")
                .else_in_words("http:// and POSTRIDER_LISTEN"),
        /// API token. Commands send it as a bearer token.
        pub(crate) token: Option<SecretString> =
            Setting::new("TOKEN", "text without spaces", token)
                .of(COMMAND)
                .secret()
                .example("$TOKEN")
                .flag("FILE")
                .optional(),
        /// API token that a broker shall send, which `postrider connect` writes into its webhook.
        pub(crate) ingest_token: Option<SecretString> =
            Setting::new("INGEST_TOKEN", "text without spaces", token)
                .of(COMMAND)
                .secret()
                .example("$INGEST_TOKEN")
                .optional(),
    }
}

fn token(raw: &Raw) -> Result<SecretString, Wrong> {
    let text = raw.text();
    // It becomes a header's value.
    if text.is_empty() || text.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
        return Err(Wrong::new(
            "is no token: it is empty or holds spaces, line breaks or non-ASCII characters",
            "give the token alone, without its role",
        ));
    }
    Ok(SecretString::from(text))
}
