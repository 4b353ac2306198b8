//! `postrider completions` and `postrider man`: the command line as shells and manuals know it.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;
use postrider_cli::{Exit, Failure, Out};

/// Of whom completions are printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Where manual pages go.
#[derive(Debug, Clone, Args)]
pub(crate) struct ManArgs {
    /// A folder; it is made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints a script that teaches the shell to complete commands and options.
pub(crate) fn completions(args: &CompletionsArgs, mut whole: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut whole, "postrider", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Fine.into())
}

/// Writes a page for each command, `postrider-webhooks-apply.1` and so on.
pub(crate) fn pages(args: &ManArgs, whole: Command, out: &mut Out) -> anyhow::Result<ExitCode> {
    let written = write_pages(&args.dir, whole).map_err(|error| {
        Failure::usage(format!("{}: {error}", args.dir.display()))
            .fix("name a folder that can be written to")
    })?;
    let dir = args.dir.display();
    out.line(format_args!("{written} pages are in {dir}; read one with: man {dir}/postrider.1"));
    Ok(Exit::Fine.into())
}

fn write_pages(dir: &Path, whole: Command) -> io::Result<usize> {
    fs::create_dir_all(dir)?;
    let mut whole = whole.disable_help_subcommand(true);
    whole.build();
    page(&whole, dir)
}

/// The page of a command and of those below it; how many.
fn page(command: &Command, dir: &Path) -> io::Result<usize> {
    let mut text = Vec::new();
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    fs::write(dir.join(format!("{name}.1")), text)?;
    let mut written = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        written += page(below, dir)?;
    }
    Ok(written)
}
