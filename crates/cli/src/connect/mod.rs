//! `postrider connect`: registers the one relay webhook at a Pact Broker or PactFlow. It speaks to
//! the broker, and asks a running postrider which events its webhooks want.

mod events;
mod identity;
mod pactflow;
mod password;
mod register;
mod relay;

#[cfg(test)]
mod tests;

use clap::Args;
use postrider_broker::Broker;
use postrider_config::{ClientSettings, Flags};
use postrider_render::Redactor;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::broker::{BrokerAccess, Env, failure, secret_setting};
use super::broker_webhooks::webhook_path;
use super::webhooks::plan::Action;
use super::webhooks::print_differences;
use crate::{Api, Exit, Failure, Format, Out, OutputArgs, complain, printable};
use events::Choice;
use password::Password;
use register::{Done, Wish};
use relay::{Relay, broker_settings};

pub(crate) use events::{Events, listed, of as events_of};
pub(crate) use postrider_broker::is_a_relay;

/// Which broker, and where postrider can be reached from it.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(
    after_help = "Example:\n  postrider connect --broker https://broker.example \\\n    --public-url https://postrider.example --ingest-token-file token.txt\n\nThe broker sends basic auth with the ingest token as the password. The token is read from\n--ingest-token-file, POSTRIDER_INGEST_TOKEN, or the ingest entry of POSTRIDER_API_TOKENS.\nRun it as often as you like: a relay that is there is compared, and changed only if it differs.\nThe broker does not show the token, so a new one is sent only with --rotate-token.\nNo token is sent before the address has answered as a Pact Broker does.\nExit codes: 0 connected, 1 the broker or the test refused, 2 usage, 3 the broker can't be\nreached, 4 it refused the credential."
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
    /// Events to be told of: `wanted` (what webhooks here want, and verifications), `all`, or a list
    /// with commas. Without it a relay that is there keeps what it has
    #[arg(long, value_name = "EVENTS")]
    events: Option<Choice>,
    #[arg(
        long,
        value_name = "URL",
        help = "Where postrider is asked what its webhooks want [env POSTRIDER_URL; token: POSTRIDER_TOKEN]"
    )]
    url: Option<String>,
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
    /// Delete other webhooks of the broker that go to the same place, so that each event arrives once
    #[arg(long)]
    yes: bool,
    /// Let the broker send a test to postrider afterwards
    #[arg(long, conflicts_with = "dry_run")]
    test: bool,
    /// Print the webhook, how the broker's differs, and the settings that it needs; change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl ConnectArgs {
    /// Its flags by setting.
    pub fn flags(&self) -> Flags {
        let given = [("INGEST_TOKEN_FILE", &self.ingest_token_file), ("URL", &self.url)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        given.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Carries it out.
pub async fn run(
    args: &ConnectArgs,
    settings: &ClientSettings,
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
    let token = token(args, settings.ingest_token.clone(), env)?;
    let address = args.broker.as_deref();
    let open = args.access.without_credential(address, env);
    let brokers = open.and_then(|open| Ok((open, args.access.connect(address, env)?)));
    if !args.dry_run {
        brokers.as_ref().map_err(Clone::clone)?;
    }
    let wanted = wanted(args, settings).await;
    let (choice, wanted) = (args.events.as_ref(), wanted.as_ref());
    let wish = Wish { relay: &relay, choice, wanted, rotate: args.rotate_token };
    if args.dry_run {
        dry_run(args, &wish, brokers, token, out).await;
        return Ok(Exit::Fine);
    }
    let (open, broker) = brokers?;
    identity::ensure(&open, &broker).await?;
    let found = register::find(&broker, &relay).await?;
    found.is_one(&relay, args.yes)?;
    let password = password(args, &broker, token.as_ref()).await?;
    let done = wish.carry_out(&broker, found.current.as_ref(), &password).await?;
    found.remove_others(&broker).await?;
    let tested =
        if args.test { Some(test(&broker, &done.uuid, token.as_ref()).await?) } else { None };
    match args.output.format() {
        Format::Json => out.json(&as_json(&done, &relay, &found.others, tested.as_ref())),
        Format::Table => print(&done, (&relay, &found.others), &broker, tested.as_ref(), out),
    }
    tell_unwanted(&done, wanted);
    let refused = tested.is_some_and(|outcome| outcome["success"] != true);
    Ok(if refused { Exit::No } else { Exit::Fine })
}

/// What webhooks here want; `None` where it does not matter or can't be known, which is said.
async fn wanted(args: &ConnectArgs, settings: &ClientSettings) -> Option<Events> {
    match args.events {
        Some(Choice::All | Choice::These(_)) => return None,
        Some(Choice::Wanted) | None => {}
    }
    let asked = match Api::new(settings) {
        Ok(api) => events::wanted(&api).await,
        Err(failure) => Err(failure),
    };
    match asked {
        Ok(wanted) => Some(wanted),
        Err(failure) => {
            complain(&format!(
                "note: which events webhooks want is not known ({}); set --url and POSTRIDER_TOKEN, \
                 or name events with --events",
                printable(&failure.message)
            ));
            None
        }
    }
}

/// Each event that nobody wants costs the others of the same request three seconds.
fn tell_unwanted(done: &Done, wanted: Option<&Events>) {
    let Some(wanted) = wanted else { return };
    let unwanted = events::unwanted(&done.events, wanted);
    if !unwanted.is_empty() {
        complain(&format!(
            "note: no webhook here wants {}; --events wanted leaves them out",
            listed(&unwanted)
        ));
    }
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

/// The broker sends a test event to the intake and tells what came of it.
async fn test(broker: &Broker, uuid: &str, token: Option<&SecretString>) -> Result<Value, Failure> {
    let path = format!("{}/execute", webhook_path(uuid));
    let answer = broker.post_json(&path, &json!({})).await.map_err(|error| failure(&error))?;
    let outcome = broker.ok(answer).map_err(|error| failure(&error))?;
    let text = |key: &str| outcome.get(key).and_then(Value::as_str).unwrap_or_default();
    let logs = Redactor::new(token).redact(text("logs"));
    Ok(json!({ "success": outcome.get("success"), "logs": logs }))
}

/// Shows what would be registered beside what is there; the broker is asked and changed in nothing.
async fn dry_run(
    args: &ConnectArgs,
    wish: &Wish<'_>,
    brokers: Result<(Broker, Broker), Failure>,
    token: Option<SecretString>,
    out: &mut Out,
) {
    let by_secret = args.pactflow_secret.as_ref().map(|name| format!("${{user.{name}}}"));
    let password = match (by_secret, token) {
        (Some(reference), _) => Password::Secret(reference),
        (None, Some(token)) => Password::Token(token),
        (None, None) => Password::None,
    };
    let current = async {
        let (open, broker) = brokers?;
        identity::ensure(&open, &broker).await?;
        register::find(&broker, wish.relay).await
    };
    let current = current.await;
    let trouble = current.as_ref().err().map(|failure| failure.message.clone());
    let found = current.unwrap_or_default();
    let planned = wish.plan(found.current.as_ref(), &password);
    let settings = broker_settings(wish.relay);
    if args.output.format() == Format::Json {
        let row = |one: &relay::BrokerSetting| json!({ "name": one.variable, "value": one.value, "why": one.why });
        let settings: Vec<Value> = settings.iter().map(row).collect();
        let would = if trouble.is_none() { json!(would(&planned.action)) } else { Value::Null };
        out.json(&json!({
            "webhook": planned.document, "broker_settings": settings, "would": would,
            "changed": changed(&planned.action), "would_remove": found.others,
            "not_compared": trouble,
        }));
        return;
    }
    out.json(&planned.document);
    out.line("");
    out.line("Settings of the broker (PactFlow's are its operator's):");
    for setting in settings {
        out.line(format_args!("  {}={:?}", setting.variable, setting.value));
        out.line(format_args!("    {}", setting.why));
    }
    if let Some(name) = &args.pactflow_secret {
        out.line(format_args!("  PactFlow's secret {name} with the ingest token as its value"));
    }
    match trouble {
        Some(trouble) => {
            out.line(format_args!("not compared with the broker: {}", printable(&trouble)));
        }
        None => out.line(format_args!("at the broker it would be {}", would(&planned.action))),
    }
    if let Action::Replace { differences, .. } = &planned.action {
        print_differences(differences, out);
    }
    if !found.others.is_empty() {
        let others = printable(&found.others.join(", "));
        out.line(format_args!("with --yes these would be deleted, which go there too: {others}"));
    }
    out.line("nothing was changed: leave out --dry-run to register it");
}

fn would(action: &Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Replace { .. } => "updated",
        Action::Unchanged { .. } => "unchanged",
    }
}

/// The fields that differ.
fn changed(action: &Action) -> Vec<&str> {
    match action {
        Action::Replace { differences, .. } => {
            differences.iter().map(|one| one.field.as_str()).collect()
        }
        Action::Create | Action::Unchanged { .. } => Vec::new(),
    }
}

fn as_json(done: &Done, relay: &Relay, removed: &[String], tested: Option<&Value>) -> Value {
    json!({
        "action": would(&done.action),
        "uuid": done.uuid,
        "url": relay.intake().as_str(),
        "events": done.events,
        "changed": changed(&done.action),
        "removed": removed,
        "test": tested,
    })
}

fn print(
    done: &Done,
    (relay, removed): (&Relay, &[String]),
    broker: &Broker,
    tested: Option<&Value>,
    out: &mut Out,
) {
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
    for uuid in removed {
        out.line(format_args!("deleted {}, which went there too", printable(uuid)));
    }
    let Some(tested) = tested else { return };
    let logs = tested["logs"].as_str().unwrap_or_default();
    for line in logs.lines() {
        out.line(printable(line));
    }
    let took = tested["success"] == true;
    out.line(if took { "the test arrived" } else { "the test did not arrive" });
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
