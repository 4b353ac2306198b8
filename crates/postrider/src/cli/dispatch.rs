//! From the command line to what carries it out.

use std::process::ExitCode;

use clap::CommandFactory as _;
use postrider_cli::{
    Api, Connection, Exit, Failure, Out, audit, check, complain, connect, deliveries, events,
    freshness, health, incidents, lanes, reconcile, secrets, webhooks,
};
use postrider_config::{Flags, Input, Mode, Settings};

use super::{AlertsCommand, Cli, Command, ConfigCommand, manual, settings};
use crate::{alerts, demo, migrate, roles, topology};

/// Exit code of a command that Ctrl-C ended, as shells report it.
const INTERRUPTED: u8 = 130;

/// Carries out one command.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let input = Input::read(cli.config.as_deref())?;
    let out = &mut Out::default();
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => roles::serve(input.settings(args.flags())?).await,
        Command::Ingest(args) => {
            roles::ingest(distributed(input.settings(args.flags())?, "ingest")?).await
        }
        Command::Worker(args) => {
            roles::worker(distributed(input.settings(args.flags())?, "worker")?).await
        }
        Command::Monitor(args) => {
            roles::monitor(distributed(input.settings(args.flags())?, "monitor")?).await
        }
        Command::Migrate => migrate::run(&input.settings(&Flags::new())?, out).await,
        Command::Config(ConfigCommand::Check) => {
            settings::check(&input.settings(&Flags::new())?, out)?;
            Ok(Exit::Fine.into())
        }
        Command::Config(ConfigCommand::Show(args)) => {
            settings::show(&input.settings(&Flags::new())?, &args, out);
            Ok(Exit::Fine.into())
        }
        Command::Alerts(AlertsCommand::Test(output)) => {
            let settings = input.settings(&Flags::new())?;
            until_interrupted(alerts::test(&settings, output.format(), out)).await
        }
        Command::Topology(output) => {
            input.settings(&Flags::new())?;
            Ok(topology::print(output.format(), out))
        }
        Command::Openapi => {
            out.line(crate::openapi::document().trim_end());
            Ok(Exit::Fine.into())
        }
        Command::Completions(args) => manual::completions(&args, Cli::command()),
        Command::Man(args) => manual::pages(&args, Cli::command(), out),
        Command::Health(args) => {
            let url = input.admin_url(args.admin_url())?;
            Ok(health::run(url, out).await?.into())
        }
        client => until_interrupted(ask(client, &input, out)).await,
    }
}

/// The commands that speak HTTP to a running postrider or to a broker, and nothing else.
async fn ask(command: Command, input: &Input, out: &mut Out) -> anyhow::Result<ExitCode> {
    let connect = |connection: &Connection| -> anyhow::Result<Api> {
        Ok(Api::new(&input.client(connection.flags())?)?)
    };
    let exit = match command {
        Command::Events(command) => events::run(command, connect, out).await?,
        Command::Webhooks(command) => webhooks::run(command, connect, &input.env, out).await?,
        Command::Connect(args) => {
            let settings = input.client(&args.flags())?;
            connect::run(&args, settings.ingest_token, &input.env, out).await?
        }
        Command::Secrets(command) => secrets::run(command, connect, &input.env, out).await?,
        Command::Deliveries(command) => deliveries::run(command, connect, out).await?,
        Command::Lanes(command) => lanes::run(command, connect, out).await?,
        Command::Incidents(command) => incidents::run(command, connect, out).await?,
        Command::Audit(command) => audit::run(command, connect, out).await?,
        Command::Freshness(args) => freshness::run(*args, connect, out).await?,
        Command::Reconcile(args) => reconcile::run(*args, connect, &input.env, out).await?,
        Command::Check(command) => check::run(command, &input.env, out).await?,
        Command::Demo(_)
        | Command::Serve(_)
        | Command::Ingest(_)
        | Command::Worker(_)
        | Command::Monitor(_)
        | Command::Migrate
        | Command::Config(_)
        | Command::Alerts(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Health(_)
        | Command::Topology(_)
        | Command::Openapi => Exit::Usage,
    };
    Ok(exit.into())
}

async fn until_interrupted(
    command: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    tokio::select! {
        ended = command => ended,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            complain("error: interrupted");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Roles of their own need a store and a queue that they can share.
fn distributed(settings: Settings, role: &str) -> Result<Settings, Failure> {
    match settings.mode {
        Mode::Distributed { .. } => Ok(settings),
        Mode::Embedded { .. } => Err(Failure::usage(format!(
            "`postrider {role}` shares its work through Postgres and RabbitMQ, and neither is configured"
        ))
        .fix("set POSTRIDER_DATABASE_URL and POSTRIDER_AMQP_URL, or run `postrider serve`")),
    }
}
