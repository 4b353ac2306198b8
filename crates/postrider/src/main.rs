//! postrider: the delivery tier for webhooks of a Pact Broker or PactFlow.

mod admin;
mod cli;
mod client;
mod config;
mod datadir;
mod demo;
mod migrate;
mod roles;
mod topology;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command_line = cli::Cli::parse();
    // TLS has one provider in the whole program; an error only says that it is there already.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli::run(command_line)));
    ended.unwrap_or_else(|error| cli::report(&error))
}
