//! The dispatch queue on a real RabbitMQ, reached through a proxy of ours that can cut the line.
//!
//! Each test uses queues of its own, which it deletes at its end.
#![expect(clippy::unwrap_used, reason = "a test that can not go on fails")]

mod kit;
mod proxy;

use std::collections::HashSet;
use std::time::Duration;

use kit::{Site, WITHIN, down_soon, message, messages, up_again};
use postrider_domain::{DeliveryId, LaneId};
use postrider_queue::{Consumer, Fresh, Message, Published, QueueError, Received, Tag, pack};
use proxy::Proxy;
use uuid::Uuid;

/// Takes until `count` different deliveries were seen.
async fn take(consumer: &mut Consumer, count: usize) -> Vec<Received> {
    let mut taken = Vec::new();
    let all = async {
        while ids(&taken).len() < count {
            assert_ne!(consumer.recv_many(&mut taken, 128).await, 0, "the consumer ended");
        }
    };
    tokio::time::timeout(WITHIN, all).await.expect("messages in time");
    taken
}

fn ids(taken: &[Received]) -> HashSet<DeliveryId> {
    taken.iter().flat_map(|taken| &taken.deliveries).map(|(id, _)| *id).collect()
}

fn tags(taken: &[Received]) -> Vec<Tag> {
    taken.iter().map(|taken| taken.tag).collect()
}

fn ready(depths: &[(String, u32)]) -> u32 {
    depths.iter().map(|(_, depth)| depth).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_go_through_and_none_is_left() {
    let site = Site::new("through").await;
    let publisher = site.publisher().await;
    let fresh = |_| Fresh { id: DeliveryId(Uuid::now_v7()), lane: LaneId(7), call: None };
    let sent: Vec<Fresh> = (0..5000).map(fresh).collect();
    let messages = pack(&sent, &[(LaneId(1), None)]);
    assert_eq!(messages.len(), 157, "of 32 each");
    let fates = publisher.publish(messages).await;
    assert_eq!(fates, vec![Published::Confirmed; 157]);

    let mut consumer = site.consumer().await;
    let settler = consumer.settler();
    let mut seen = HashSet::new();
    let mut woken = Vec::new();
    while seen.len() < 5000 {
        let taken = take(&mut consumer, 1).await;
        assert!(taken.iter().all(|taken| !taken.redelivered));
        seen.extend(ids(&taken));
        woken.extend(taken.iter().flat_map(|taken| &taken.wake).copied());
        // Backwards, and twice: neither order nor repetition matter.
        settler.ack(tags(&taken).into_iter().rev());
        settler.ack(tags(&taken));
    }
    assert!(consumer.close(WITHIN).await, "acknowledgements written");
    site.wait_until_ready(0).await;
    let depths = publisher.depths().await;
    let names: Vec<&str> = depths.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [site.queue_name(), site.dead_queue_name()]);
    assert_eq!(ready(&depths), 0);
    assert_eq!(seen, sent.iter().map(|sent| sent.id).collect());
    assert_eq!(woken, [LaneId(1)]);
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_refuses_and_is_declared_again() {
    let site = Site::new("deleted").await;
    let publisher = site.publisher().await;
    site.delete(&site.queue_name()).await;
    let fates = publisher.publish(messages(10)).await;
    assert_eq!(fates, [Published::Refused; 10]);
    up_again(&publisher).await;
    assert_eq!(ready(&publisher.depths().await), 1);
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_queue_is_deleted_comes_back() {
    let site = Site::new("cancelled").await;
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    site.delete(&site.queue_name()).await;
    up_again(&publisher).await;
    assert_eq!(take(&mut consumer, 1).await.len(), 1);
    drop(consumer);
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_arguments_are_fatal_and_named() {
    let site = Site::new("mismatch").await;
    site.declare_plain(&site.queue_name()).await;
    let publisher = site.start_publisher();
    assert!(!publisher.ready(WITHIN).await);
    let Some(QueueError::Mismatch { queue, detail }) = publisher.fatal() else {
        panic!("expected a mismatch, got {:?}", publisher.last_error());
    };
    assert_eq!(queue, site.queue_name());
    assert!(detail.contains("x-"), "{detail}");
    assert_eq!(publisher.publish(messages(1)).await, [Published::Refused]);

    let consumer = site.start_consumer();
    assert!(!consumer.ready(WITHIN).await);
    assert!(matches!(consumer.fatal(), Some(QueueError::Mismatch { .. })));

    // Once a person has deleted it, nothing needs a restart.
    site.delete(&site.queue_name()).await;
    up_again(&publisher).await;
    assert_eq!(publisher.fatal(), None);
    drop(consumer);
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_line_is_mended_and_what_was_not_acknowledged_comes_again() {
    let proxy = Proxy::start().await;
    let site = Site::through("cut", &proxy).with_prefetch(20);
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    let settler = consumer.settler();
    publisher.publish(messages(25)).await;
    let mut unsettled = take(&mut consumer, 20).await;
    let rest = unsettled.split_off(5);
    settler.ack(tags(&unsettled));
    // With 20 held at most, these come only once RabbitMQ has read the acknowledgements.
    let mut unsettled = rest;
    unsettled.extend(take(&mut consumer, 5).await);

    proxy.cut();
    let again = take(&mut consumer, 20).await;
    assert!(again.iter().all(|taken| taken.redelivered), "{again:?}");
    assert_eq!(ids(&again), ids(&unsettled));
    assert!(again[0].tag.generation > unsettled[0].tag.generation);

    // Tags of the old connection are ignored, they do not settle anything of the new one.
    settler.ack(tags(&unsettled));
    settler.ack(tags(&again[..7]));
    assert!(consumer.close(WITHIN).await);
    site.wait_until_ready(13).await;
    up_again(&publisher).await;
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_behind_a_gap_waits_for_the_gap() {
    let site = Site::new("gap").await.with_prefetch(4);
    let publisher = site.publisher().await;
    publisher.publish(messages(6)).await;
    let mut consumer = site.consumer().await;
    let settler = consumer.settler();
    let taken = take(&mut consumer, 4).await;
    settler.ack(tags(&taken[1..]));
    let more = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await;
    assert!(more.is_err(), "nothing was acknowledged: {more:?}");
    settler.ack(tags(&taken[..1]));
    take(&mut consumer, 2).await;
    assert!(consumer.close(WITHIN).await);
    site.wait_until_ready(2).await;
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_broker_delays_nobody_and_is_found_later() {
    let proxy = Proxy::start().await;
    proxy.refuse(true);
    let site = Site::through("absent", &proxy);
    let publisher = site.start_publisher();
    let mut consumer = site.start_consumer();
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
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_swallows_everything_is_given_up() {
    let proxy = Proxy::start().await;
    let site = Site::through("silent", &proxy);
    let publisher = site.publisher().await;
    let consumer = site.consumer().await;
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
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_gives_back_and_resuming_takes_again() {
    let site = Site::new("pause").await;
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    let settler = consumer.settler();
    publisher.publish(messages(10)).await;
    let first = take(&mut consumer, 10).await;
    settler.ack(tags(&first[..4]));
    settler.pause();
    site.wait_until_ready(6).await;
    assert!(!consumer.is_up());
    settler.pause();
    settler.resume();
    let again = take(&mut consumer, 6).await;
    assert_eq!(ids(&again), ids(&first[4..]));
    // So does one that is over at once: whoever ordered it has forgotten what it held.
    settler.pause();
    settler.resume();
    let once_more = take(&mut consumer, 6).await;
    assert_eq!(ids(&once_more), ids(&first[4..]));
    settler.ack(tags(&once_more));
    site.wait_until_ready(0).await;
    assert!(consumer.close(WITHIN).await);
    site.wait_until_ready(0).await;
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_consumer_ends_well() {
    let site = Site::new("paused").await;
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    publisher.publish(messages(3)).await;
    take(&mut consumer, 3).await;
    consumer.settler().pause();
    site.wait_until_ready(3).await;
    assert!(consumer.close(WITHIN).await, "nothing is left to acknowledge");
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_cancellation_nothing_is_taken_but_acknowledgements_are_written() {
    let site = Site::new("cancel").await;
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    publisher.publish(messages(10)).await;
    let taken = take(&mut consumer, 10).await;
    site.cancel_consumers();
    assert_eq!(consumer.next().await, None);
    publisher.publish(messages(1)).await;
    assert_eq!(consumer.next().await, None);
    consumer.settler().ack(tags(&taken));
    assert!(consumer.close(WITHIN).await);
    site.wait_until_ready(1).await;
    site.remove().await;
}

/// What a later version writes here by mistake, or anybody else, is kept for a person to see, and
/// takes nobody's place meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_understood_is_counted_and_set_aside() {
    let site = Site::new("malformed").await.with_prefetch(4);
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    let bodies: [&[u8]; 5] =
        [b"not ours", br#"{"v":99,"deliveries":{}}"#, br#"{"v":2}"#, b"", br#"{"v":1}"#];
    for body in bodies {
        site.publish_raw(&site.queue_name(), body).await;
    }
    publisher.publish(messages(6)).await;
    let taken = take(&mut consumer, 4).await;
    assert_eq!(consumer.malformed(), 5);
    consumer.settler().ack(tags(&taken));
    let more = take(&mut consumer, 2).await;
    consumer.settler().ack(tags(&more));
    assert!(consumer.close(WITHIN).await);
    site.wait_until_ready(0).await;
    let dead = site.dead_queue_name();
    site.wait_for_depth(&dead, Some(5)).await;
    assert_eq!(site.get(&dead).await.as_deref(), Some(bodies[0]));
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_held_than_asked_for() {
    let site = Site::new("prefetch").await.with_prefetch(10);
    let publisher = site.publisher().await;
    publisher.publish(messages(100)).await;
    let mut consumer = site.consumer().await;
    take(&mut consumer, 10).await;
    site.wait_until_ready(90).await;
    drop(consumer);
    site.remove().await;
}

/// As version 1 of the format says it.
fn version_1() -> (DeliveryId, Vec<u8>) {
    let id = DeliveryId(Uuid::now_v7());
    (id, format!(r#"{{"v":1,"delivery_id":"{id}","lane_id":7}}"#).into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_queue_that_is_there_is_consumed_and_none_is_made() {
    let site = Site::new("old").await;
    site.declare_plain(&site.old_queue_name(1)).await;
    let (first, body) = version_1();
    site.publish_raw(&site.old_queue_name(1), &body).await;
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    let settler = consumer.settler();
    let old = take(&mut consumer, 1).await;
    assert_eq!(old[0].deliveries, [(first, LaneId(7))]);
    // Both formats side by side, acknowledged together.
    let (second, body) = version_1();
    site.publish_raw(&site.old_queue_name(1), &body).await;
    let new = message();
    publisher.publish(vec![new.clone()]).await;
    let both = take(&mut consumer, 2).await;
    assert_eq!(ids(&both), [second, new.deliveries[0].0].into());
    settler.ack(tags(&both));
    settler.ack(tags(&old));
    assert_eq!(site.depth(&site.old_queue_name(0)).await, None, "it was never declared");
    let names: Vec<String> = publisher.depths().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [site.queue_name(), site.dead_queue_name()]);
    assert!(consumer.close(WITHIN).await);
    for queue in [site.queue_name(), site.old_queue_name(1)] {
        site.wait_for_depth(&queue, Some(0)).await;
    }
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_queue_that_nobody_uses_goes_and_is_found_when_it_comes_back() {
    let kept = Duration::from_millis(1500);
    let site = Site::new("retired").await.with_old_queues_kept(kept);
    let queue = site.old_queue_name(0);
    site.declare_plain(&queue).await;
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    let settler = consumer.settler();
    // Used, for longer than it is kept.
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < kept * 2 {
        site.publish_raw(&queue, &version_1().1).await;
        settler.ack(tags(&take(&mut consumer, 1).await));
    }
    assert_eq!(site.depth(&queue).await, Some(0));
    site.wait_for_depth(&queue, None).await;
    assert_eq!(publisher.publish(messages(1)).await, [Published::Confirmed]);
    let taken = take(&mut consumer, 1).await;
    assert_eq!(taken[0].tag.generation, 1, "the connection stayed");
    settler.ack(tags(&taken));

    // An old program comes back and declares it.
    site.declare_plain(&queue).await;
    let (id, body) = version_1();
    site.publish_raw(&queue, &body).await;
    assert!(ids(&take(&mut consumer, 1).await).contains(&id));
    drop((consumer, settler));
    site.remove().await;
}

#[tokio::test]
async fn an_address_that_is_nonsense_is_fatal_and_not_repeated() {
    for url in ["amqp//guest:hunter2@host", "http://u:hunter2@host", "amqp://u:hunter2@[::1]/"] {
        let site = Site::unreachable(url);
        let publisher = site.start_publisher();
        assert!(!publisher.ready(WITHIN).await);
        let error = publisher.fatal().expect("a fatal error");
        assert!(matches!(error, QueueError::Url(_)));
        assert!(!format!("{error} {error:?} {:?}", site.config()).contains("hunter2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_alone_travel_too() {
    let site = Site::new("wake").await;
    let publisher = site.publisher().await;
    let mut consumer = site.consumer().await;
    let wake = Message { wake: vec![LaneId(3)], ..Message::default() };
    assert_eq!(publisher.publish(vec![wake]).await, [Published::Confirmed]);
    let woken = consumer.next().await.unwrap();
    assert_eq!((woken.deliveries.len(), woken.wake), (0, vec![LaneId(3)]));
    drop(consumer);
    site.remove().await;
}
