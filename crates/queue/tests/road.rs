//! The road on a real RabbitMQ, reached through a proxy of ours that can cut the line.
//!
//! Each test uses queues of its own, which it deletes at its end.
#![expect(clippy::unwrap_used, reason = "a test that can not go on fails")]

mod proxy;
mod road_kit;

use std::collections::HashSet;
use std::time::Duration;

use postrider_queue::{Message, Published, QueueError, Tag, Taken};
use postrider_telemetry::TraceContext;
use proxy::Proxy;
use road_kit::{Road, WITHIN, down_soon, message, messages, up_again};

/// Takes until `count` different deliveries were seen.
async fn take(consumer: &mut postrider_queue::Consumer, count: usize) -> Vec<Taken> {
    let mut taken = Vec::new();
    let all = async {
        while ids(&taken).len() < count {
            assert_ne!(consumer.recv_many(&mut taken, 128).await, 0, "the consumer ended");
        }
    };
    tokio::time::timeout(WITHIN, all).await.expect("messages in time");
    taken
}

fn ids(taken: &[Taken]) -> HashSet<String> {
    taken.iter().map(|taken| taken.message.delivery_id.to_string()).collect()
}

fn tags(taken: &[Taken]) -> Vec<Tag> {
    taken.iter().map(|taken| taken.tag).collect()
}

fn ready(depths: &[(String, u32)]) -> u32 {
    depths.iter().map(|(_, depth)| depth).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_go_through_and_none_is_left() {
    let road = Road::new("through", 3).await;
    let publisher = road.publisher().await;
    let sent = messages(5000);
    let fates = publisher.publish(sent.clone()).await;
    assert_eq!(fates, vec![Published::Confirmed; 5000]);

    let mut consumer = road.consumer().await;
    let settler = consumer.settler();
    let mut seen = HashSet::new();
    while seen.len() < 5000 {
        let taken = take(&mut consumer, 1).await;
        assert!(taken.iter().all(|taken| !taken.redelivered));
        seen.extend(ids(&taken));
        // Backwards, and twice: neither order nor repetition matter.
        settler.ack(tags(&taken).into_iter().rev());
        settler.ack(tags(&taken));
    }
    assert!(consumer.close(WITHIN).await, "acknowledgements written");
    road.wait_until_ready(0).await;
    let depths = publisher.depths().await;
    let names: Vec<&str> = depths.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 4, "three queues and the dead one: {names:?}");
    assert_eq!(names[2], road.queue_name(2));
    assert_eq!(ready(&depths), 0);
    let sent: HashSet<String> = sent.iter().map(|sent| sent.delivery_id.to_string()).collect();
    assert_eq!(seen, sent);
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_spread_over_the_queues() {
    let road = Road::new("spread", 4).await;
    let publisher = road.publisher().await;
    publisher.publish(messages(400)).await;
    let depths = publisher.depths().await;
    let deliveries: Vec<u32> = depths.iter().map(|(_, depth)| *depth).take(4).collect();
    assert_eq!(deliveries, [100; 4], "{depths:?}");
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_travels_along() {
    let road = Road::new("trace", 1).await;
    let publisher = road.publisher().await;
    let mut consumer = road.consumer().await;
    let traced = Message { trace: Some(TraceContext::new_root()), ..message() };
    assert_eq!(publisher.publish(vec![traced, message()]).await, [Published::Confirmed; 2]);
    let first = consumer.next().await.unwrap();
    assert_eq!(first.message, traced);
    assert_eq!(consumer.next().await.unwrap().message.trace, None);
    drop(consumer);
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_refuses_and_is_declared_again() {
    let road = Road::new("deleted", 2).await;
    let publisher = road.publisher().await;
    road.delete_queues().await;
    let fates = publisher.publish(messages(10)).await;
    assert_eq!(fates, [Published::Refused; 10]);
    up_again(&publisher).await;
    assert_eq!(ready(&publisher.depths().await), 1);
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_queue_is_deleted_comes_back() {
    let road = Road::new("cancelled", 2).await;
    let publisher = road.publisher().await;
    let mut consumer = road.consumer().await;
    road.delete_queues().await;
    up_again(&publisher).await;
    assert_eq!(take(&mut consumer, 1).await.len(), 1);
    drop(consumer);
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_arguments_are_fatal_and_named() {
    let road = Road::new("mismatch", 2).await;
    road.declare_classic_queue(1).await;
    let publisher = road.start_publisher();
    assert!(!publisher.ready(WITHIN).await);
    let Some(QueueError::Mismatch { queue, detail }) = publisher.fatal() else {
        panic!("expected a mismatch, got {:?}", publisher.last_error());
    };
    assert_eq!(queue, road.queue_name(1));
    assert!(detail.contains("x-"), "{detail}");
    assert_eq!(publisher.publish(messages(1)).await, [Published::Refused]);

    let consumer = road.start_consumer();
    assert!(!consumer.ready(WITHIN).await);
    assert!(matches!(consumer.fatal(), Some(QueueError::Mismatch { .. })));

    // Once a person has deleted it, nothing needs a restart.
    road.delete_queues().await;
    up_again(&publisher).await;
    assert_eq!(publisher.fatal(), None);
    drop(consumer);
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_line_is_mended_and_what_was_not_acknowledged_comes_again() {
    let proxy = Proxy::start().await;
    let road = Road::through("cut", 1, &proxy).with_prefetch(20);
    let publisher = road.publisher().await;
    let mut consumer = road.consumer().await;
    let settler = consumer.settler();
    publisher.publish(messages(25)).await;
    let mut unsettled = take(&mut consumer, 20).await;
    settler.ack(tags(&unsettled.split_off(15)));
    // With 20 held at most, these come only once RabbitMQ has read the acknowledgements.
    unsettled.extend(take(&mut consumer, 5).await);

    proxy.cut();
    let again = take(&mut consumer, 20).await;
    assert!(again.iter().all(|taken| taken.redelivered), "{again:?}");
    assert_eq!(ids(&again), ids(&unsettled));

    // Tags of the old connection are ignored, they do not settle anything of the new one.
    settler.ack(tags(&unsettled));
    settler.ack(tags(&again[..7]));
    assert!(consumer.close(WITHIN).await);
    road.wait_until_ready(13).await;
    up_again(&publisher).await;
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_broker_delays_nobody_and_is_found_later() {
    let proxy = Proxy::start().await;
    proxy.refuse(true);
    let road = Road::through("absent", 1, &proxy);
    let publisher = road.start_publisher();
    let mut consumer = road.start_consumer();
    assert!(!publisher.is_up() && !consumer.is_up());
    let fates = tokio::time::timeout(Duration::from_millis(500), publisher.publish(messages(3)));
    assert_eq!(fates.await.expect("an answer at once"), [Published::Refused; 3]);
    assert!(!publisher.ready(Duration::from_millis(300)).await);
    assert!(matches!(publisher.last_error(), Some(QueueError::Unavailable(_))));
    assert_eq!(publisher.fatal(), None);

    proxy.refuse(false);
    assert!(publisher.ready(WITHIN).await, "{:?}", publisher.last_error());
    assert_eq!(publisher.publish(messages(1)).await, [Published::Confirmed]);
    assert_eq!(take(&mut consumer, 1).await.len(), 1);
    drop(consumer);
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_swallows_everything_is_given_up() {
    let proxy = Proxy::start().await;
    let road = Road::through("silent", 1, &proxy);
    let publisher = road.publisher().await;
    let consumer = road.consumer().await;
    proxy.swallow(true);
    let fates = tokio::time::timeout(Duration::from_secs(15), publisher.publish(messages(600)));
    let fates = fates.await.expect("an answer within the time for confirms");
    assert_eq!(fates, vec![Published::Refused; 600]);
    // Nobody writes on the consumer's line, so the heartbeats must tell.
    down_soon(|| consumer.is_up()).await;
    proxy.swallow(false);
    proxy.cut();
    up_again(&publisher).await;
    assert!(consumer.ready(WITHIN).await);
    drop(consumer);
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_gives_back_and_resuming_takes_again() {
    let road = Road::new("pause", 2).await;
    let publisher = road.publisher().await;
    let mut consumer = road.consumer().await;
    publisher.publish(messages(10)).await;
    let first = take(&mut consumer, 10).await;
    consumer.settler().ack(tags(&first[..4]));
    consumer.pause();
    road.wait_until_ready(6).await;
    assert!(!consumer.is_up());
    consumer.resume();
    let again = take(&mut consumer, 6).await;
    assert_eq!(ids(&again), ids(&first[4..]));
    drop(consumer);
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_cancellation_nothing_is_taken_but_acknowledgements_are_written() {
    let road = Road::new("cancel", 1).await;
    let publisher = road.publisher().await;
    let mut consumer = road.consumer().await;
    publisher.publish(messages(10)).await;
    let taken = take(&mut consumer, 10).await;
    road.cancel_consumers();
    assert_eq!(consumer.next().await, None);
    publisher.publish(messages(1)).await;
    assert_eq!(consumer.next().await, None);
    consumer.settler().ack(tags(&taken));
    assert!(consumer.close(WITHIN).await);
    road.wait_until_ready(1).await;
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_understood_is_counted_and_gone() {
    let road = Road::new("malformed", 1).await;
    let publisher = road.publisher().await;
    let mut consumer = road.consumer().await;
    road.publish_raw(b"not ours").await;
    road.publish_raw(br#"{"v":99}"#).await;
    publisher.publish(messages(1)).await;
    let taken = take(&mut consumer, 1).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(consumer.malformed(), 2);
    consumer.settler().ack(tags(&taken));
    assert!(consumer.close(WITHIN).await);
    road.wait_until_ready(0).await;
    road.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_held_than_asked_for() {
    let road = Road::new("prefetch", 2).await.with_prefetch(10);
    let publisher = road.publisher().await;
    publisher.publish(messages(100)).await;
    let mut consumer = road.consumer().await;
    take(&mut consumer, 10).await;
    road.wait_until_ready(90).await;
    drop(consumer);
    road.remove().await;
}

#[tokio::test]
async fn an_address_that_is_nonsense_is_fatal_and_not_repeated() {
    for url in ["amqp//guest:hunter2@host", "http://u:hunter2@host", "amqp://u:hunter2@[::1]/"] {
        let road = Road::unreachable(url);
        let publisher = road.start_publisher();
        assert!(!publisher.ready(WITHIN).await);
        let error = publisher.fatal().expect("a fatal error");
        assert!(matches!(error, QueueError::Url(_)));
        assert!(!format!("{error} {error:?} {:?}", road.config()).contains("hunter2"));
    }
}
