//! One connection to RabbitMQ: opening it, trying again, and saying how it is.
//!
//! Connections are renewed by a loop of ours, not by the client library's recovery: after a cut
//! everything that was in flight has one clear fate (publishes refused, unacknowledged messages
//! handed out again), the topology is declared anew because queues may be gone, and a tag can
//! never be taken for one of another connection because it carries the connection's number.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::unavailable;
use crate::{QueueConfig, QueueError};

/// A link that is silent for two of these is given up.
const HEARTBEAT_SECONDS: u16 = 10;
/// Name lookup, TCP, TLS and the AMQP greeting together.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// Declaring everything and starting to consume.
const SET_UP_WITHIN: Duration = Duration::from_secs(30);
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// Not tried yet.
    Starting,
    /// In use.
    Up,
    /// RabbitMQ is there but asks publishers to wait (memory or disk alarm).
    Blocked,
    /// Not wanted for now.
    Paused,
    /// Left on purpose.
    Stopped,
    /// Not there, and why.
    Down(QueueError),
}

/// How a link is, for its users to see and to wait for.
#[derive(Debug)]
pub(crate) struct Health(watch::Sender<LinkState>);

impl Health {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(LinkState::Starting))
    }

    pub(crate) fn is_up(&self) -> bool {
        *self.0.borrow() == LinkState::Up
    }

    pub(crate) fn last_error(&self) -> Option<QueueError> {
        match &*self.0.borrow() {
            LinkState::Down(error) => Some(error.clone()),
            LinkState::Starting
            | LinkState::Up
            | LinkState::Blocked
            | LinkState::Paused
            | LinkState::Stopped => None,
        }
    }

    pub(crate) fn fatal(&self) -> Option<QueueError> {
        self.last_error().filter(QueueError::is_fatal)
    }

    /// Waits until the link is up or a person must act. Returns whether it is up.
    pub(crate) async fn ready(&self, within: Duration) -> bool {
        let mut state = self.0.subscribe();
        let settled = state.wait_for(|state| match state {
            LinkState::Up => true,
            LinkState::Down(error) => error.is_fatal(),
            LinkState::Starting | LinkState::Blocked | LinkState::Paused | LinkState::Stopped => {
                false
            }
        });
        let settled = timeout(within, settled).await;
        settled.is_ok_and(|state| state.is_ok_and(|state| *state == LinkState::Up))
    }

    /// Sets the state and logs it when it is news.
    pub(crate) fn set(&self, role: &'static str, state: LinkState) {
        let news = self.0.send_if_modified(|old| {
            let news = *old != state;
            old.clone_from(&state);
            news
        });
        if !news {
            return;
        }
        match state {
            LinkState::Starting => {}
            LinkState::Up => tracing::info!(role, "queue.up"),
            LinkState::Paused => tracing::info!(role, "queue.paused"),
            LinkState::Stopped => tracing::info!(role, "queue.stopped"),
            LinkState::Blocked => tracing::warn!(role, "queue.blocked"),
            LinkState::Down(error) if error.is_fatal() => {
                tracing::error!(role, %error, "queue.down");
            }
            LinkState::Down(error) => tracing::warn!(role, %error, "queue.down"),
        }
    }
}

/// Whether the settings can be used at all.
pub(crate) fn check(config: &QueueConfig) -> Result<AMQPUri, QueueError> {
    let url = config.url.expose_secret();
    // The parser below takes such an address for localhost.
    if url.contains("//[") || url.contains("@[") {
        return Err(QueueError::Url("use a host name instead of an IPv6 address"));
    }
    if config.prefix.is_empty() || config.prefix.len() > 200 {
        return Err(QueueError::Url("the prefix of names has 1 to 200 bytes"));
    }
    let mut uri: AMQPUri = url
        .parse()
        .map_err(|_| QueueError::Url("expected amqp://user:password@host:port/vhost"))?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    Ok(uri)
}

/// Host and port, as far as the address can be read.
pub(crate) fn server(config: &QueueConfig) -> (String, u16) {
    let authority = check(config).ok().map(|uri| uri.authority);
    authority.map_or_else(Default::default, |authority| (authority.host, authority.port))
}

/// Opens a connection. `role` is shown next to the configured name in RabbitMQ's lists.
pub(crate) async fn connect(
    config: &QueueConfig,
    role: &'static str,
) -> Result<Connection, QueueError> {
    let uri = check(config)?;
    let name = format!("{} {role}", config.name);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    match timeout(CONNECT_WITHIN, Connection::connect_uri(uri, properties)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(unavailable(&error)),
        Err(_elapsed) => Err(QueueError::Unavailable("no greeting in time".to_owned())),
    }
}

/// Whether RabbitMQ lets somebody in with these settings; nothing is declared.
pub async fn try_out(config: &QueueConfig) -> Result<(), QueueError> {
    let connection = connect(config, "check").await?;
    disconnect(&connection).await;
    Ok(())
}

/// Sets a connection up; a broker that is busy electing may take its time, but not for ever.
pub(crate) async fn in_time<T>(
    work: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    let late = || QueueError::Unavailable("queues were not ready in time".to_owned());
    timeout(SET_UP_WITHIN, work).await.unwrap_or_else(|_elapsed| Err(late()))
}

/// The link broke.
pub(crate) fn gone(why: &str) -> QueueError {
    QueueError::Unavailable(why.to_owned())
}

/// Says goodbye, which is a courtesy: a link that is gone can't answer.
pub(crate) async fn disconnect(connection: &Connection) {
    if let Ok(Err(error)) = timeout(CLOSE_WITHIN, connection.close(200, "OK".into())).await {
        tracing::debug!(%error, "queue.goodbye_failed");
    }
}

/// The waits between tries: from a tenth of a second to five seconds, with chance mixed in so
/// that a hundred workers don't come back at one moment.
pub(crate) struct Waits {
    waits: backon::ExponentialBackoff,
}

impl Waits {
    pub(crate) fn new() -> Self {
        let waits = ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_jitter()
            .without_max_times()
            .build();
        Self { waits }
    }

    /// After a success the next wait is short again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }

    /// Waits. Returns false once `cancel` is.
    pub(crate) async fn wait(&mut self, cancel: &CancellationToken) -> bool {
        let wait = self.waits.next().unwrap_or(LONGEST_WAIT);
        or_cancelled(cancel, tokio::time::sleep(wait)).await.is_some()
    }
}

/// Runs `work` unless `cancel` comes first.
pub(crate) async fn or_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Option<T> {
    cancel.run_until_cancelled(work).await
}
