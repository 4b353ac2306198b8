//! Tests of the topology's text.

use super::*;

#[test]
fn the_text_is_stable() {
    insta::assert_snapshot!(topology(), @r"
    exchange postrider.deliveries direct durable
    exchange postrider.dead fanout durable
    queue postrider.deliveries.v2 durable
    queue postrider.deliveries.v2 argument x-dead-letter-exchange=postrider.dead
    queue postrider.deliveries.v2 argument x-dead-letter-strategy=at-least-once
    queue postrider.deliveries.v2 argument x-delivery-limit=1000
    queue postrider.deliveries.v2 argument x-overflow=reject-publish
    queue postrider.deliveries.v2 argument x-queue-type=quorum
    binding postrider.deliveries -> postrider.deliveries.v2 routing-key=postrider.deliveries.v2
    queue postrider.dead.v1 durable
    queue postrider.dead.v1 argument x-max-length=100000
    queue postrider.dead.v1 argument x-overflow=drop-head
    queue postrider.dead.v1 argument x-queue-type=quorum
    binding postrider.dead -> postrider.dead.v1 routing-key=
    ");
}

#[test]
fn messages_go_where_the_queue_is_bound() {
    let topology = Topology::new("p");
    let queue = &topology.queues[0];
    let name = delivery_queue_name("p");
    assert_eq!([&queue.name, &queue.routing_key], [&name, &name]);
    assert_eq!(queue.exchange, topology.exchanges[0].name);
}

#[test]
fn it_serialises_for_programs() {
    let json = serde_json::to_value(topology()).unwrap();
    assert_eq!(json["exchanges"][0]["kind"], "direct");
    let arguments = &json["queues"][0]["arguments"];
    assert_eq!(arguments[2], serde_json::json!(["x-delivery-limit", 1000]));
}
