//! The spans of messages.

use std::sync::Arc;

use lapin::message::Delivery;
use postrider_telemetry::TraceContext;
use postrider_telemetry::spans::{self, Begun, Fact, Publish};

use crate::message::trace_of;
use crate::{Message, MessageContext, Published};

/// The span of a publishing. A message may carry deliveries of several calls; each stays in the
/// trace of its own, the publishing is a child of the first that is recorded and points to the
/// others.
pub(crate) struct Publishing {
    /// What travels with the message.
    pub(crate) trace: Option<TraceContext>,
    /// Set when a span is recorded, with the other calls.
    recorded: Option<(Begun, Vec<TraceContext>)>,
}

impl Publishing {
    pub(crate) fn begin(message: &Message) -> Self {
        let calls = &message.calls;
        let Some(parent) = calls.iter().find(|call| spans::wanted(call)) else {
            return Self { trace: calls.first().copied(), recorded: None };
        };
        let others = calls.iter().filter(|call| spans::wanted(call) && *call != parent);
        let context = parent.child();
        let recorded = (Begun::below(*parent, context), others.copied().collect());
        Self { trace: Some(context), recorded: Some(recorded) }
    }

    /// The message met its fate.
    pub(crate) fn end(
        self,
        message: &Message,
        body_size: usize,
        published: Published,
        (exchange, routing_key): (&str, &str),
        (host, port): &(String, u16),
    ) {
        let Some((span, calls)) = self.recorded else { return };
        let publish = Publish {
            exchange,
            routing_key,
            server: (host, *port),
            deliveries: u32::try_from(message.deliveries.len()).unwrap_or(u32::MAX),
            delivery_id: match message.deliveries.as_slice() {
                [(id, _lane)] => Some(id),
                [] | [_, ..] => None,
            },
            calls: &calls,
            body_size,
            is_confirmed: published == Published::Confirmed,
        };
        spans::record(&span.end(), &Fact::Publish(publish));
    }
}

/// What the spans of a message's deliveries need to know, if its publishing was recorded.
pub(crate) fn context(delivery: &Delivery) -> Option<Arc<MessageContext>> {
    let publish = trace_of(&delivery.properties).filter(spans::wanted)?;
    let destination = format!("{}:{}", delivery.exchange, delivery.routing_key);
    Some(Arc::new(MessageContext { publish, destination }))
}
