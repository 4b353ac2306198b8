//! Tests of the topology's text.

use super::*;

#[test]
fn the_text_is_stable() {
    insta::assert_snapshot!(topology(2), @r"
    exchange postrider.deliveries direct durable
    exchange postrider.dead fanout durable
    queue postrider.deliveries.v1.0 durable
    queue postrider.deliveries.v1.0 argument x-dead-letter-exchange=postrider.dead
    queue postrider.deliveries.v1.0 argument x-dead-letter-strategy=at-least-once
    queue postrider.deliveries.v1.0 argument x-delivery-limit=1000
    queue postrider.deliveries.v1.0 argument x-overflow=reject-publish
    queue postrider.deliveries.v1.0 argument x-queue-type=quorum
    binding postrider.deliveries -> postrider.deliveries.v1.0 routing-key=postrider.deliveries.v1.0
    queue postrider.deliveries.v1.1 durable
    queue postrider.deliveries.v1.1 argument x-dead-letter-exchange=postrider.dead
    queue postrider.deliveries.v1.1 argument x-dead-letter-strategy=at-least-once
    queue postrider.deliveries.v1.1 argument x-delivery-limit=1000
    queue postrider.deliveries.v1.1 argument x-overflow=reject-publish
    queue postrider.deliveries.v1.1 argument x-queue-type=quorum
    binding postrider.deliveries -> postrider.deliveries.v1.1 routing-key=postrider.deliveries.v1.1
    queue postrider.dead.v1 durable
    queue postrider.dead.v1 argument x-max-length=100000
    queue postrider.dead.v1 argument x-overflow=drop-head
    queue postrider.dead.v1 argument x-queue-type=quorum
    binding postrider.dead -> postrider.dead.v1 routing-key=
    ");
}

#[test]
fn the_number_of_queues_is_bounded() {
    let names = |queues| {
        let topology = topology(queues);
        topology.delivery_queues().iter().map(|queue| queue.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(0), ["postrider.deliveries.v1.0"]);
    assert_eq!(names(u16::MAX).len(), usize::from(MAX_QUEUES));
    assert_eq!(names(3)[2], "postrider.deliveries.v1.2");
}

#[test]
fn it_serialises_for_programs() {
    let json = serde_json::to_value(topology(1)).unwrap();
    assert_eq!(json["exchanges"][0]["kind"], "direct");
    let arguments = &json["queues"][0]["arguments"];
    assert_eq!(arguments[2], serde_json::json!(["x-delivery-limit", 1000]));
}
