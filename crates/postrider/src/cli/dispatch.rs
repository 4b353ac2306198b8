//! From the command line to what carries it out.

use std::process::ExitCode;

use clap::CommandFactory as _;
use postrider_cli::{
    Api, Connection, Exit, Failure, Out, Style, audit, check, complain, connect, context,
    deliveries, doctor, events, freshness, health, incidents, lanes, reconcile, secrets, webhooks,
};
use postrider_config::{Flags, Input, Mode, Settings};

use super::{AlertsCommand, Cli, Command, ConfigCommand, manual, reach, settings};
use crate::{alerts, demo, dev, migrate, roles, topology, version};

/// Exit code of a command that Ctrl-C ended, as shells report it.
const INTERRUPTED: u8 = 130;

/// Carries out one command. What could not be written is a failure, whatever the command came to.
pub(crate) async fn run(cli: Cli, style: Style) -> anyhow::Result<ExitCode> {
    let input = Input::read(cli.config.as_deref())?;
    let mut out = Out::new(style, &input.env);
    let exit = Box::pin(carry_out(cli.command, &input, &mut out)).await?;
    match out.fault() {
        Some(error) if exit == Exit::Fine.into() => {
            let what = format!("cannot write to standard output: {error}");
            Err(Failure::new(Exit::No, what).into())
        }
        _ => Ok(exit),
    }
}

async fn carry_out(command: Command, input: &Input, out: &mut Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) if args.dev => dev::serve(input, args.flags.flags()).await,
        Command::Serve(args) => {
            roles::serve(input.settings(args.flags.flags())?, roles::quietly).await
        }
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
        Command::Config(ConfigCommand::Check(args)) => {
            let settings = input.settings(&Flags::new())?;
            let outbound = settings::check(&settings, out)?;
            if !args.connect {
                return Ok(Exit::Fine.into());
            }
            let check = Box::pin(reach::check(&settings, &outbound, out));
            until_interrupted(async { Ok(check.await?.into()) }).await
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
        Command::Version(output) => Ok(version::print(output.format(), out)),
        Command::Man(args) => manual::pages(&args, Cli::command(), out),
        Command::Health(args) => {
            let url = input.admin_url(args.admin_url())?;
            Ok(health::run(url, out).await?.into())
        }
        Command::Context(command) => Ok(context::run(command, &input.env, out)?.into()),
        // It is followed until Ctrl-C.
        Command::Deliveries(deliveries::DeliveriesCommand::Tail(args)) => {
            Ok(deliveries::tail(&args, connect(input), out).await?.into())
        }
        client => until_interrupted(Box::pin(ask(client, input, out))).await,
    }
}

/// The commands that speak HTTP to a running postrider or to a broker, and nothing else.
async fn ask(command: Command, input: &Input, out: &mut Out) -> anyhow::Result<ExitCode> {
    let connect = connect(input);
    let exit = match command {
        Command::Events(command) => events::run(command, connect, out).await?,
        Command::Webhooks(command) => webhooks::run(command, connect, &input.env, out).await?,
        Command::Connect(args) => {
            let settings = input.client(&args.flags())?;
            connect::run(&args, &settings, &input.env, out).await?
        }
        Command::Secrets(command) => secrets::run(command, connect, &input.env, out).await?,
        Command::Deliveries(command) => deliveries::run(command, connect, out).await?,
        Command::Lanes(command) => lanes::run(command, connect, out).await?,
        Command::Incidents(command) => incidents::run(command, connect, out).await?,
        Command::Audit(command) => audit::run(command, connect, out).await?,
        Command::Freshness(args) => freshness::run(*args, connect, out).await?,
        Command::Doctor(args) => doctor::run(*args, connect, out).await?,
        Command::Reconcile(args) => reconcile::run(*args, connect, &input.env, out).await?,
        Command::Check(command) => check::run(command, &input.env, out).await?,
        Command::Demo(_)
        | Command::Serve(_)
        | Command::Ingest(_)
        | Command::Worker(_)
        | Command::Monitor(_)
        | Command::Migrate
        | Command::Config(_)
        | Command::Context(_)
        | Command::Alerts(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Version(_)
        | Command::Health(_)
        | Command::Topology(_)
        | Command::Openapi => Exit::Usage,
    };
    Ok(exit.into())
}

/// How commands reach postrider.
fn connect(input: &Input) -> impl Fn(&Connection) -> anyhow::Result<Api> {
    |connection| Ok(Api::new(&input.client(connection.flags())?)?)
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
