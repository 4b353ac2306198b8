//! The spans of the road.

use std::sync::Arc;

use lapin::message::Delivery;
use postrider_telemetry::spans::{self, Begun, Fact, Publish};

use crate::{Message, Published};

/// Gives the message a span of its own to carry, if its trace is recorded.
pub(crate) fn begin(message: &mut Message) -> Option<Begun> {
    let parent = message.trace.filter(spans::wanted)?;
    let context = parent.child();
    message.trace = Some(context);
    Some(Begun::below(parent, context))
}

/// The message met its fate.
pub(crate) fn end(
    span: Begun,
    message: &Message,
    published: Published,
    (exchange, routing_key): (&str, &str),
    (host, port): &(String, u16),
) {
    let publish = Publish {
        exchange,
        routing_key,
        server: (host, *port),
        delivery_id: &message.delivery_id,
        body_size: message.to_body().len(),
        is_confirmed: published == Published::Confirmed,
    };
    spans::record(&span.end(), &Fact::Publish(publish));
}

/// Where a message was taken from, `<exchange>:<routing key>`, if its trace is recorded. A queue
/// of ours has its routing key's name, which the conventions leave out then.
pub(crate) fn destination(message: &Message, delivery: &Delivery) -> Option<Arc<str>> {
    message.trace.filter(spans::wanted)?;
    Some(format!("{}:{}", delivery.exchange, delivery.routing_key).into())
}
