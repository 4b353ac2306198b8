//! The bare pipeline: what the design costs without the product. It is the yardstick, so it stays
//! as it is: reqwest, the system's allocator, one message a delivery, no TLS, no log.
//!
//! ```text
//!  produce (or intake, over HTTP)   events, keys, deliveries in one statement of 100
//!     │ one persistent message a delivery, confirmed, 256 in flight
//!     ▼
//!  quorum queue
//!     │ prefetch 512
//!     ▼
//!  work   claim in batches ► POST, 64 at once ► outcomes and attempts in batches ► ack
//! ```
//!
//! The order of effects is the safe one: an event is answered when it is committed, nothing is
//! sent without a claim, a message is acknowledged when its outcome is committed. What is left
//! out: matching, templates, secrets, limits, retries, log lines, traces, redaction.

mod gather;
mod intake;
mod produce;
mod publish;
mod store;
mod work;

use anyhow::{Context, Result};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use store::create_schema;

use crate::args::BareRole;

const QUEUE: &str = "bare.deliveries";

/// Runs one process of the pipeline until SIGTERM.
pub(crate) async fn run(role: BareRole) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let work = async {
        match role {
            BareRole::Produce(at) => produce::run(&at).await,
            BareRole::Intake(at) => intake::run(&at).await,
            BareRole::Work(at) => work::run(&at).await,
        }
    };
    tokio::select! {
        done = work => done,
        _ = terminate.recv() => Ok(()),
    }
}

/// A channel on which the queue is known.
async fn channel(amqp_url: &str) -> Result<Channel> {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(amqp_url, properties).await.context("RabbitMQ")?;
    let channel = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert(short("x-queue-type"), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(short(QUEUE), QueueDeclareOptions::durable(), arguments).await?;
    Ok(channel)
}

fn short(name: &str) -> ShortString {
    ShortString::try_new(name).unwrap_or_default()
}

/// Says what other programs wait for.
fn say(message: &str, field: &str, value: &str) -> Result<()> {
    use std::io::Write;
    let line = serde_json::json!({ "message": message, field: value });
    Ok(std::io::stdout().write_all(format!("{line}\n").as_bytes())?)
}
