//! Arguments of the commands.

use std::path::PathBuf;

use clap::Args;
use postrider_domain::WebhookUuid;

use crate::pages::LimitArgs;
use crate::{Connection, OutputArgs};

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub(super) most: LimitArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Which webhook.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// Its uuid
    #[arg(value_parser = uuid)]
    pub(super) uuid: WebhookUuid,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Which webhook to delete.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub(super) one: OneArgs,
    /// Don't ask first, as is done on a terminal
    #[arg(long)]
    pub(super) yes: bool,
}

/// What to apply.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// File to read; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Do it
    #[arg(long)]
    pub(super) yes: bool,
    /// Replace also where only values that the server stars could differ
    #[arg(long)]
    pub(super) replace: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// File with webhooks; - is standard input. Without it: what the running postrider has
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

fn uuid(text: &str) -> Result<WebhookUuid, String> {
    text.parse().map_err(|error: postrider_domain::InvalidWebhookUuid| error.to_string())
}
