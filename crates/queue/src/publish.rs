//! Publishing messages on the dispatch queue.
//!
//! One task owns the connection, which only publishes: RabbitMQ stops reading from publishers
//! when its memory runs low, and acknowledgements must not wait for that. Callers write on the
//! task's channel themselves, up to 256 messages in flight, and learn the fate of each.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, Connection, Event};
use postrider_telemetry::TraceContext;
use tokio::sync::{Notify, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::unavailable;
use crate::link::{self, Health, LinkState, Waits, gone};
use crate::message::properties;
use crate::old::look_at;
use crate::topology::{Topology, delivery_queue_name, short};
use crate::traced::Publishing;
use crate::{Message, Published, QueueConfig, QueueError};

/// Messages written and not confirmed, over all callers. Measured: 256 in flight cost a seventh
/// of awaiting each.
const IN_FLIGHT: usize = 256;
/// A confirm that takes longer means that the link is not what it seems.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// Before queues that vanished are declared again. RabbitMQ 3.10 forgets to tell a consumer that
/// its queue was deleted when there is another of that name before it comes to it.
const REDECLARE_AFTER: Duration = Duration::from_secs(1);
/// Between two looks at a link that reports nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// All depths together.
const DEPTHS_WITHIN: Duration = Duration::from_secs(5);
const ROLE: &str = "publisher";

/// Publishes messages. A clone uses the same connection.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    health: Health,
    live: RwLock<Option<Arc<Live>>>,
    window: Semaphore,
    topology: Topology,
    exchange: ShortString,
    /// Host and port, for spans.
    server: (String, u16),
    route: ShortString,
}

/// One connection while it lasts.
struct Live {
    connection: Connection,
    channel: Channel,
    /// RabbitMQ asks publishers to wait.
    blocked: AtomicBool,
    /// A write failed or a confirm did not come: nothing more is written here.
    broken: AtomicBool,
    broke: Notify,
    /// A message found no queue.
    returned: Notify,
}

impl Publisher {
    /// Starts the task that owns the connection and returns at once, whether or not RabbitMQ is
    /// there. The task tries for ever, and ends when `cancel` does.
    pub fn start(config: QueueConfig, tracker: &TaskTracker, cancel: CancellationToken) -> Self {
        let topology = Topology::new(&config.prefix);
        let shared = Arc::new(Shared {
            health: Health::new(),
            live: RwLock::default(),
            window: Semaphore::new(IN_FLIGHT),
            route: short(&delivery_queue_name(&config.prefix)),
            exchange: short(&format!("{}.deliveries", config.prefix)),
            server: link::server(&config),
            topology,
        });
        let (supervisor, kept) = (config.supervisor.clone(), Arc::clone(&shared));
        supervisor.spawn(tracker, "publisher", move || {
            keep_up(Arc::clone(&kept), config.clone(), cancel.clone())
        });
        Self(shared)
    }

    /// Whether messages can be published now.
    pub fn is_up(&self) -> bool {
        self.0.health.is_up()
    }

    /// Waits until messages can be published, at most `within`; ends early when [`Self::fatal`]
    /// says so. Returns whether they can.
    pub async fn ready(&self, within: Duration) -> bool {
        self.0.health.ready(within).await
    }

    /// What a person must mend: a queue that exists with other arguments, an address that can't
    /// be used. It is tried again nevertheless.
    pub fn fatal(&self) -> Option<QueueError> {
        self.0.health.fatal()
    }

    /// Why the link is not up.
    pub fn last_error(&self) -> Option<QueueError> {
        self.0.health.last_error()
    }

    /// Publishes, and answers what became of each, in order. Returns at once while the link is
    /// not up, and within about 10 s after it failed.
    pub async fn publish(&self, messages: Vec<Message>) -> Vec<Published> {
        let Some(live) = self.0.usable() else {
            return vec![Published::Refused; messages.len()];
        };
        stream::iter(messages)
            .map(|message| self.0.publish(&live, message))
            .buffered(IN_FLIGHT)
            .collect()
            .await
    }

    /// Messages ready in each queue, by name. Queues that can't be asked are left out.
    pub async fn depths(&self) -> Vec<(String, u32)> {
        let Some(live) = self.0.current() else {
            return Vec::new();
        };
        let mut depths = Vec::new();
        // What was learnt until the time is up is worth showing.
        let asked = timeout(DEPTHS_WITHIN, self.0.depths(&live, &mut depths)).await;
        if asked.is_err() {
            tracing::debug!("queue.depths_incomplete");
        }
        depths
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Shared {
    fn current(&self) -> Option<Arc<Live>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn usable(&self) -> Option<Arc<Live>> {
        self.current().filter(|live| !live.blocked.load(Ordering::Relaxed))
    }

    fn replace(&self, live: Option<Arc<Live>>) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
    }

    async fn publish(&self, live: &Live, message: Message) -> Published {
        let Ok(_permit) = self.window.acquire().await else {
            return Published::Refused;
        };
        if live.broken.load(Ordering::Relaxed) {
            return Published::Refused;
        }
        let body = message.to_body();
        let publishing = Publishing::begin(&message);
        let write = self.write(live, &body, publishing.trace);
        let published = Self::fate(live, timeout(CONFIRM_WITHIN, write).await);
        let way = (self.exchange.as_str(), self.route.as_str());
        publishing.end(&message, body.len(), published, way, &self.server);
        published
    }

    fn fate(
        live: &Live,
        confirmation: Result<Result<Confirmation, lapin::Error>, Elapsed>,
    ) -> Published {
        match confirmation {
            Ok(Ok(Confirmation::Ack(None))) => Published::Confirmed,
            Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => {
                live.returned.notify_one();
                Published::Refused
            }
            Ok(Ok(Confirmation::Nack(None))) => Published::Refused,
            // Confirms are switched on, so no answer at all is a fault too.
            Ok(Ok(Confirmation::NotRequested) | Err(_)) => live.give_up(),
            Err(_elapsed) if live.blocked.load(Ordering::Relaxed) => Published::Refused,
            Err(_elapsed) => live.give_up(),
        }
    }

    async fn write(
        &self,
        live: &Live,
        body: &[u8],
        trace: Option<TraceContext>,
    ) -> Result<Confirmation, lapin::Error> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let (exchange, route) = (self.exchange.clone(), self.route.clone());
        live.channel.basic_publish(exchange, route, options, body, properties(trace)).await?.await
    }

    async fn depths(&self, live: &Live, depths: &mut Vec<(String, u32)>) {
        for queue in &self.topology.queues {
            match look_at(&live.connection, &queue.name).await {
                Ok(Some(seen)) => depths.push((queue.name.clone(), seen.message_count())),
                Ok(None) => {}
                Err(_unavailable) => return,
            }
        }
    }
}

impl Live {
    async fn open(connection: Connection, topology: &Topology) -> Result<Self, QueueError> {
        topology.declare(&connection).await?;
        let channel = connection.create_channel().await.map_err(|e| unavailable(&e))?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
        confirms.map_err(|e| unavailable(&e))?;
        Ok(Self {
            connection,
            channel,
            blocked: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            broke: Notify::new(),
            returned: Notify::new(),
        })
    }

    fn give_up(&self) -> Published {
        self.broken.store(true, Ordering::Relaxed);
        self.broke.notify_one();
        Published::Refused
    }

    fn is_connected(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}

/// The task: connects, stays, and connects again.
async fn keep_up(shared: Arc<Shared>, config: QueueConfig, cancel: CancellationToken) {
    let mut waits = Waits::new();
    loop {
        let connected = link::or_cancelled(&cancel, open(&shared, &config)).await;
        match connected {
            None => return,
            Some(Err(error)) => shared.health.set(ROLE, LinkState::Down(error)),
            Some(Ok(live)) => {
                waits.reset();
                let why = serve(&shared, &live, &cancel).await;
                shared.replace(None);
                shared.health.set(ROLE, why);
                link::disconnect(&live.connection).await;
            }
        }
        if !waits.wait(&cancel).await {
            return;
        }
    }
}

async fn open(shared: &Shared, config: &QueueConfig) -> Result<Arc<Live>, QueueError> {
    let connection = link::connect(config, ROLE).await?;
    link::in_time(Live::open(connection, &shared.topology)).await.map(Arc::new)
}

/// Stays while the link holds. Returns why it does not.
async fn serve(shared: &Shared, live: &Arc<Live>, cancel: &CancellationToken) -> LinkState {
    let events = live.connection.events_listener();
    shared.replace(Some(Arc::clone(live)));
    shared.health.set(ROLE, LinkState::Up);
    let lost = tokio::select! {
        () = cancel.cancelled() => return LinkState::Stopped,
        lost = watch(shared, live, events) => lost,
        lost = redeclare(shared, live) => lost,
    };
    live.broken.store(true, Ordering::Relaxed);
    LinkState::Down(lost)
}

/// Follows what the connection reports until it is lost.
async fn watch(shared: &Shared, live: &Live, events: impl Stream<Item = Event>) -> QueueError {
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = live.broke.notified() => return gone("a message was not confirmed"),
            () = tokio::time::sleep(LOOK_EVERY) => {
                if live.is_connected() {
                    continue;
                }
                None
            }
        };
        match event {
            None => return gone("the connection closed"),
            Some(Event::Error(error)) => return unavailable(&error),
            Some(Event::ConnectionBlocked(_)) => block(shared, live, true),
            Some(Event::ConnectionUnblocked) => block(shared, live, false),
            Some(_) => {}
        }
    }
}

fn block(shared: &Shared, live: &Live, blocked: bool) {
    live.blocked.store(blocked, Ordering::Relaxed);
    let state = if blocked { LinkState::Blocked } else { LinkState::Up };
    shared.health.set(ROLE, state);
}

/// Declares the topology again whenever a message came back. Returns when that fails.
async fn redeclare(shared: &Shared, live: &Live) -> QueueError {
    loop {
        live.returned.notified().await;
        tracing::warn!("queue.missing");
        tokio::time::sleep(REDECLARE_AFTER).await;
        if let Err(error) = link::in_time(shared.topology.declare(&live.connection)).await {
            return error;
        }
    }
}
