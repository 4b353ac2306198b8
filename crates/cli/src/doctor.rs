//! `postrider doctor`: why a verification is not there.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use postrider_api::{DoctorHop, DoctorReport, OtherVerdict};
use postrider_domain::doctor::DoctorVerdict;

use crate::{Api, Connection, Exit, Format, Out, OutputArgs, cell_of, printable};

const HELP: &str = "\
Example:
  postrider doctor --consumer checkout --provider billing
  postrider doctor --consumer checkout --version 1.4.2 --provider billing --environment production

It walks from the contract's publication to what may be deployed: published, required, received,
matched, sent, run, verified, deployable. The verdict is the first hop that is broken, of the
provider version that blocks most; what to run next is printed with it.

Exit codes: 0 all is well, or there is nothing to verify; 1 something is broken or under way;
2 usage; 3 it can't be known, or postrider can't be reached; 4 credential refused; 5 rate limited.";

/// What is asked about.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct DoctorArgs {
    /// The consumer
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    consumer: String,
    /// Its version; without it the newest contract of its main branch
    #[arg(long, value_name = "VERSION", allow_hyphen_values = true)]
    version: Option<String>,
    /// The provider
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    provider: String,
    /// Look only at what is deployed or released in this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// The name under which postrider knows the broker
    #[arg(long, value_name = "NAME", default_value = "default")]
    broker: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: Connection,
}

/// Carries it out.
pub async fn run(
    args: DoctorArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let query: Vec<(&'static str, String)> = [
        ("consumer", Some(args.consumer)),
        ("version", args.version),
        ("provider", Some(args.provider)),
        ("environment", args.environment),
        ("broker", Some(args.broker)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let report: DoctorReport =
        connect(&args.connection)?.get(&["api", "v1", "doctor"], &query).await?;
    match args.output.format() {
        Format::Json => out.json(&report),
        Format::Table => print(&report, out),
    }
    Ok(exit(report.verdict))
}

fn exit(verdict: DoctorVerdict) -> Exit {
    match verdict {
        verdict if verdict.is_fine() => Exit::Fine,
        DoctorVerdict::Unknown => Exit::Unreachable,
        _ => Exit::No,
    }
}

fn print(report: &DoctorReport, out: &mut Out) {
    out.line(format_args!("{}: {}", report.verdict, printable(&report.summary)));
    if let Some(version) = &report.provider_version {
        let since = report.since.map(|at| format!(", since {at}")).unwrap_or_default();
        out.line(format_args!("provider version {}{since}", printable(version)));
    }
    out.line("");
    let row = |hop: &DoctorHop| {
        let detail = [std::slice::from_ref(&hop.detail), hop.links.as_slice()].concat().join(" ");
        vec![
            hop.state.as_str().to_owned(),
            hop.hop.as_str().to_owned(),
            cell_of(hop.at),
            cell_of(Some(detail.trim())),
        ]
    };
    let rows = report.hops.iter().map(row).collect();
    out.table(&["state", "hop", "at", "what is known"], rows, "");
    if !report.others.is_empty() {
        out.line("");
        let row = |other: &OtherVerdict| {
            vec![other.provider_version.clone(), other.verdict.to_string(), other.summary.clone()]
        };
        let rows = report.others.iter().map(row).collect();
        out.table(&["other version", "verdict", "summary"], rows, "");
    }
    if !report.next.is_empty() {
        out.line("");
        out.line("next:");
        for command in &report.next {
            out.line(format_args!("  {}", printable(command)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_not_no() {
        for verdict in DoctorVerdict::ALL {
            let code = exit(verdict).code();
            let expected = match verdict {
                DoctorVerdict::AllWell | DoctorVerdict::NothingToVerify => 0,
                DoctorVerdict::Unknown => 3,
                _ => 1,
            };
            assert_eq!(code, expected, "{verdict}");
        }
    }
}
