//! `postrider connect`: registers the one relay webhook at a Pact Broker or PactFlow. It speaks to
//! the broker and to nothing else.

mod pactflow;
mod relay;

#[cfg(test)]
mod tests;

use clap::Args;
use postrider_broker::{Answer, Broker, error_list};
use postrider_config::Flags;
use postrider_render::Redactor;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::broker::{BrokerAccess, Env, failure, secret_setting};
use super::broker_webhooks::{webhook_path, webhooks};
use super::webhooks::plan::{Action, compare};
use super::webhooks::print_differences;
use crate::{Exit, Failure, Format, Out, OutputArgs, cell, complain, printable};
use relay::{Relay, STARS, USERNAME, broker_settings, remedy};

pub(crate) use relay::is_a_relay;

/// Shown where the ingest token would stand.
const TOKEN_SHOWN: &str = "the ingest token";

/// Which broker, and where postrider can be reached from it.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(
    after_help = "Example:\n  postrider connect --broker https://broker.example \\\n    --public-url https://postrider.example --ingest-token-file token.txt\n\nThe broker sends basic auth with the ingest token as the password. The token is read from\n--ingest-token-file, POSTRIDER_INGEST_TOKEN, or the ingest entry of POSTRIDER_API_TOKENS.\nRun it as often as you like: a relay that is there is compared, and changed only if it differs.\nThe broker does not show the token, so a new one is sent only with --rotate-token.\nExit codes: 0 connected, 1 the broker or the test refused, 2 usage, 3 the broker can't be\nreached, 4 it refused the credential."
)]
pub struct ConnectArgs {
    #[arg(
        short = 'b',
        long,
        value_name = "URL",
        visible_alias = "broker-base-url",
        help = "The broker's address [env PACT_BROKER_BASE_URL]"
    )]
    broker: Option<String>,
    #[command(flatten)]
    access: BrokerAccess,
    /// Where the broker reaches postrider
    #[arg(long, value_name = "URL", value_parser = public_url)]
    public_url: Url,
    /// Name under which postrider shall know this broker, when there are several
    #[arg(long, value_name = "NAME", value_parser = relay::name)]
    name: Option<String>,
    /// File with the API token of the role ingest that the broker shall send
    #[arg(long, value_name = "FILE", visible_alias = "token-file")]
    ingest_token_file: Option<String>,
    /// Keep the token in PactFlow's secret of this name, which is made if there is none
    #[arg(long, value_name = "NAME", value_parser = pactflow::name)]
    pactflow_secret: Option<String>,
    /// Send the token although there is one already
    #[arg(long)]
    rotate_token: bool,
    /// Take an http public URL: the token and all events cross the network readable
    #[arg(long)]
    insecure_http: bool,
    /// Let the broker send a test to postrider afterwards
    #[arg(long, conflicts_with = "dry_run")]
    test: bool,
    /// Print the webhook and the settings that the broker needs, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl ConnectArgs {
    /// Its flags by setting.
    pub fn flags(&self) -> Flags {
        let token_file = self.ingest_token_file.clone();
        token_file.map(|path| ("INGEST_TOKEN_FILE".to_owned(), path)).into_iter().collect()
    }
}

/// What the broker shall send as its password.
#[derive(Debug)]
enum Password {
    /// Nothing: an intake without tokens.
    None,
    /// The token itself.
    Token(SecretString),
    /// A reference to PactFlow's secret.
    Secret(String),
}

/// What was done at the broker.
#[derive(Debug)]
struct Done {
    action: Action,
    uuid: String,
}

/// Carries it out.
pub async fn run(
    args: &ConnectArgs,
    ingest_token: Option<SecretString>,
    env: &Env,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let relay = Relay::new(&args.public_url, args.name.as_deref())?;
    if relay.is_http() && !args.insecure_http {
        return Err(Failure::usage(
            "the public URL is http: the token and all events would cross the network readable",
        )
        .fix("put TLS in front of postrider, or add --insecure-http in a network that you trust")
        .into());
    }
    let token = token(args, ingest_token, env)?;
    if args.dry_run {
        dry_run(args, &relay, token.is_some(), out);
        return Ok(Exit::Fine);
    }
    let broker = args.access.connect(args.broker.as_deref(), env)?;
    let password = password(args, &broker, token.as_ref()).await?;
    let done = register(args, &broker, &relay, &password).await?;
    let tested =
        if args.test { Some(test(&broker, &done.uuid, token.as_ref()).await?) } else { None };
    match args.output.format() {
        Format::Json => out.json(&as_json(&done, &relay, tested.as_ref())),
        Format::Table => print(&done, &relay, &broker, tested.as_ref(), out),
    }
    let refused = tested.is_some_and(|outcome| outcome["success"] != true);
    Ok(if refused { Exit::No } else { Exit::Fine })
}

/// The ingest token, if there is one.
fn token(
    args: &ConnectArgs,
    given: Option<SecretString>,
    env: &Env,
) -> Result<Option<SecretString>, Failure> {
    let token = match given {
        Some(token) => Some(token),
        None => secret_setting(env, "POSTRIDER_API_TOKENS")?.and_then(|tokens| of_ingest(&tokens)),
    };
    if token.is_none() && args.rotate_token {
        return Err(Failure::usage("--rotate-token needs the token")
            .fix("give it with --ingest-token-file or POSTRIDER_INGEST_TOKEN"));
    }
    if token.is_none() && args.pactflow_secret.is_none() {
        complain(
            "note: no ingest token is given: a postrider that has API tokens will refuse the \
             broker's calls (--ingest-token-file, POSTRIDER_INGEST_TOKEN)",
        );
    }
    Ok(token)
}

/// The first token of the role `ingest` among `role:name:token` and `role:token`.
fn of_ingest(tokens: &SecretString) -> Option<SecretString> {
    let items = tokens.expose_secret().split(|c: char| c == ',' || c.is_whitespace());
    let mut tokens = items.filter_map(|item| item.strip_prefix("ingest:"));
    let token = tokens.next().map(|rest| rest.rsplit_once(':').map_or(rest, |(_, token)| token));
    token.map(SecretString::from)
}

async fn password(
    args: &ConnectArgs,
    broker: &Broker,
    token: Option<&SecretString>,
) -> Result<Password, Failure> {
    if let Some(name) = &args.pactflow_secret {
        pactflow::ensure(broker, name, token, args.rotate_token).await?;
        return Ok(Password::Secret(format!("${{user.{name}}}")));
    }
    Ok(token.cloned().map_or(Password::None, Password::Token))
}

/// Creates the relay, or makes the one that is there what it should be.
async fn register(
    args: &ConnectArgs,
    broker: &Broker,
    relay: &Relay,
    password: &Password,
) -> Result<Done, Failure> {
    let all = webhooks(broker).await?;
    let found: Vec<&Value> = all.iter().filter(|webhook| relay.is(webhook)).collect();
    for other in all.iter().filter(|webhook| is_a_relay(webhook) && !relay.is(webhook)) {
        complain(&format!(
            "note: webhook {} relays to another address or name; delete it if that is an old one",
            printable(&cell(other, "uuid"))
        ));
    }
    match found.as_slice() {
        [] => create(broker, relay, password).await,
        [current] => update(broker, relay, password, current, args.rotate_token).await,
        several => {
            let uuids: Vec<String> = several.iter().map(|webhook| cell(webhook, "uuid")).collect();
            Err(Failure::new(
                Exit::No,
                format!(
                    "{} webhooks of the broker go to {}, so every event arrives as often: {}",
                    several.len(),
                    relay.intake(),
                    printable(&uuids.join(", "))
                ),
            )
            .fix("delete all but one at the broker"))
        }
    }
}

async fn create(broker: &Broker, relay: &Relay, password: &Password) -> Result<Done, Failure> {
    let document = relay.document(password.basic());
    let answer = broker.post_json("/webhooks", &document).await.map_err(|error| failure(&error))?;
    let created = accepted(broker, relay, answer)?;
    Ok(Done { action: Action::Create, uuid: cell(&created, "uuid") })
}

async fn update(
    broker: &Broker,
    relay: &Relay,
    password: &Password,
    current: &Value,
    rotate: bool,
) -> Result<Done, Failure> {
    let uuid = cell(current, "uuid");
    let shown = wanted(relay, current, password.shown());
    let mut action = compare(&shown, current, false);
    if rotate && matches!(password, Password::Token(_) | Password::Secret(_)) {
        action = compare(&shown, current, true);
    }
    let Action::Replace { differences, .. } = &action else {
        return Ok(Done { action, uuid });
    };
    let sends_password = differences.iter().any(|one| one.field == "request.password");
    let kept = password.basic().map(|(username, _)| (username, STARS));
    let basic = if sends_password { password.basic() } else { kept };
    let document = wanted(relay, current, basic);
    let answer =
        broker.put_json(&webhook_path(&uuid), &document).await.map_err(|error| failure(&error))?;
    accepted(broker, relay, answer)?;
    Ok(Done { action, uuid })
}

/// The relay's document beside the one that is there: what people may have changed for reasons
/// of their own is kept, and so is a password when none is given.
fn wanted(relay: &Relay, current: &Value, basic: Option<(&str, &str)>) -> Value {
    let mut document = relay.document(basic);
    for key in ["description", "teamUuid"] {
        if let Some(value) = current.get(key) {
            document[key] = value.clone();
        }
    }
    let kept: &[&str] = if basic.is_none() { &["username", "password"] } else { &[] };
    for key in kept {
        if let Some(value) = current.pointer(&format!("/request/{key}")) {
            document["request"][*key] = value.clone();
        }
    }
    // No body and an empty object say the same to the intake.
    let has_body = current.pointer("/request/body").is_some_and(|body| !body.is_null());
    if !has_body && let Some(request) = document["request"].as_object_mut() {
        request.shift_remove("body");
    }
    document
}

/// The document of a successful answer; what the broker refuses is told with its own words.
fn accepted(broker: &Broker, relay: &Relay, answer: Answer) -> Result<Value, Failure> {
    if answer.status.as_u16() == 400 {
        let errors = error_list(answer.body.get("errors"));
        let message = format!("the broker refused the webhook: {}", printable(&answer.said()));
        return Err(Failure::new(Exit::No, message).fix(remedy(&errors, relay)));
    }
    broker.ok(answer).map_err(|error| failure(&error))
}

/// The broker sends a test event to the intake and tells what came of it.
async fn test(broker: &Broker, uuid: &str, token: Option<&SecretString>) -> Result<Value, Failure> {
    let path = format!("{}/execute", webhook_path(uuid));
    let answer = broker.post_json(&path, &json!({})).await.map_err(|error| failure(&error))?;
    let outcome = broker.ok(answer).map_err(|error| failure(&error))?;
    let text = |key: &str| outcome.get(key).and_then(Value::as_str).unwrap_or_default();
    let logs = Redactor::new(token).redact(text("logs"));
    Ok(json!({ "success": outcome.get("success"), "logs": logs }))
}

fn dry_run(args: &ConnectArgs, relay: &Relay, has_token: bool, out: &mut Out) {
    let by_secret = args.pactflow_secret.as_ref().map(|name| format!("${{user.{name}}}"));
    let password = by_secret.as_deref().or(has_token.then_some(STARS));
    let document = relay.document(password.map(|password| (USERNAME, password)));
    let settings = broker_settings(relay);
    if args.output.format() == Format::Json {
        let row = |one: &relay::BrokerSetting| json!({ "name": one.variable, "value": one.value, "why": one.why });
        let settings: Vec<Value> = settings.iter().map(row).collect();
        out.json(&json!({ "webhook": document, "broker_settings": settings }));
        return;
    }
    out.json(&document);
    out.line("");
    out.line("Settings of the broker (PactFlow's are its operator's):");
    for setting in settings {
        out.line(format_args!("  {}={:?}", setting.variable, setting.value));
        out.line(format_args!("    {}", setting.why));
    }
    if let Some(name) = &args.pactflow_secret {
        out.line(format_args!("  PactFlow's secret {name} with the ingest token as its value"));
    }
    out.line("nothing was sent: leave out --dry-run to register it");
}

fn as_json(done: &Done, relay: &Relay, tested: Option<&Value>) -> Value {
    let (action, differences) = match &done.action {
        Action::Create => ("created", Vec::new()),
        Action::Replace { differences, .. } => ("updated", differences.clone()),
        Action::Unchanged { .. } => ("unchanged", Vec::new()),
    };
    let fields: Vec<&str> = differences.iter().map(|one| one.field.as_str()).collect();
    json!({
        "action": action,
        "uuid": done.uuid,
        "url": relay.intake().as_str(),
        "changed": fields,
        "test": tested,
    })
}

fn print(done: &Done, relay: &Relay, broker: &Broker, tested: Option<&Value>, out: &mut Out) {
    let uuid = printable(&done.uuid);
    let (address, intake) = (broker.address(), relay.intake());
    match &done.action {
        Action::Create => {
            out.line(format_args!("connected: {address} sends its events to {intake} ({uuid})"));
        }
        Action::Replace { differences, .. } => {
            out.line(format_args!("updated: {address} sends its events to {intake} ({uuid})"));
            print_differences(differences, out);
        }
        Action::Unchanged { .. } => {
            out.line(format_args!(
                "already connected: {address} sends its events to {intake} ({uuid})"
            ));
        }
    }
    let Some(tested) = tested else { return };
    let logs = tested["logs"].as_str().unwrap_or_default();
    for line in logs.lines() {
        out.line(printable(line));
    }
    let took = tested["success"] == true;
    out.line(if took { "the test arrived" } else { "the test did not arrive" });
}

impl Password {
    /// What is sent.
    fn basic(&self) -> Option<(&str, &str)> {
        match self {
            Self::None => None,
            Self::Token(token) => Some((USERNAME, token.expose_secret())),
            Self::Secret(reference) => Some((USERNAME, reference)),
        }
    }

    /// The same for people.
    fn shown(&self) -> Option<(&str, &str)> {
        match self {
            Self::Token(_) => Some((USERNAME, TOKEN_SHOWN)),
            Self::None | Self::Secret(_) => self.basic(),
        }
    }
}

fn public_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("no http or https URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password".to_owned());
    }
    Ok(url)
}
