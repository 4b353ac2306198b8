//! The command that mends a lane's credential.

use postrider_domain::GithubApp;
use postrider_store::CredentialRow;

use crate::words::quoted;

/// What is known of the secrets that there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mend<'f> {
    credentials: &'f [CredentialRow],
}

impl<'f> Mend<'f> {
    pub(super) fn new(credentials: &'f [CredentialRow]) -> Self {
        Self { credentials }
    }

    /// For a lane's secret; `file` is what a value is read from.
    pub(super) fn secret(self, lane: &str, file: &str) -> String {
        self.own_secret(lane, file).unwrap_or_else(|| "postrider webhooks list".to_owned())
    }

    /// The same, where the lane is named after a secret. An app has no value that could be set:
    /// what its owner can give is another key.
    pub(super) fn own_secret(self, lane: &str, file: &str) -> Option<String> {
        let name = secret_of(lane)?;
        let set = format!("postrider secrets set {}", quoted(name));
        Some(match self.app(name) {
            Some(app) => {
                let id = quoted(&app.app_id);
                format!("{set} --github-app --app-id {id} --private-key-file new-key.pem")
            }
            None => format!("{set} < {file}"),
        })
    }

    /// Why a target refuses the lane's credential.
    pub(super) fn refused(self, lane: &str) -> &'static str {
        match secret_of(lane).and_then(|name| self.app(name)) {
            Some(_) => {
                "GitHub refused the app: its key, or its installation, which somebody may have \
                 suspended or removed"
            }
            None => "its target refused the credential",
        }
    }

    fn app(self, name: &str) -> Option<&'f GithubApp> {
        let found = self.credentials.iter().find(|one| one.secret.name == name)?;
        found.secret.github_app.as_deref()
    }
}

/// The secret in a lane's name. A lane that settings named has none, and a credential that
/// stands in the webhook itself is no secret that could be set.
fn secret_of(lane: &str) -> Option<&str> {
    let (_, credential) = lane.rsplit_once('/')?;
    let is_own = credential == "none"
        || ["basic-", "inline-"].iter().any(|kind| {
            credential.strip_prefix(kind).is_some_and(|hash| {
                hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        });
    (!is_own).then_some(credential)
}
