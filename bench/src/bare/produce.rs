//! Events from inside: as many as a line of standard input says.

use std::thread;

use anyhow::{Context, Result};
use tokio::sync::mpsc;

use super::publish::Publisher;
use super::say;
use super::store::{Incoming, Store};
use crate::args::At;
use crate::bodies;

/// Events of one statement.
const BATCH: u32 = 100;

pub(super) async fn run(at: &At) -> Result<()> {
    let mut store = Store::connect(&at.database_url).await?;
    let mut publisher = Publisher::connect(&at.amqp_url).await?;
    let mut lines = lines()?;
    say("listening", "role", "produce")?;
    let mut next = 0;
    while let Some(line) = lines.recv().await {
        let count: u32 = line.trim().parse().context("a number of events")?;
        for first in (next..next + count).step_by(BATCH as usize) {
            let numbers = first..(first + BATCH).min(next + count);
            let events: Vec<Incoming> =
                numbers.map(|number| Incoming { body: bodies::dispatch(number) }).collect();
            let ids = store.intake(&events).await?;
            publisher.publish(&ids).await?;
        }
        publisher.confirm_all().await?;
        next += count;
        say("produced", "count", &count.to_string())?;
    }
    // Whoever started this closes the input only when it ends.
    Ok(())
}

fn lines() -> Result<mpsc::Receiver<String>> {
    let (lines, read) = mpsc::channel(1);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut input = std::io::stdin().lines();
        while let Some(Ok(line)) = input.next() {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(read)
}
