//! How connections are kept, shared, bounded and closed.

use std::time::Duration;

use super::harness::{Act, Setup, Target, answer, last, post, post_within, status, until};
use crate::Limits;
use crate::reply::Reply;

fn limits(connections: usize, idle_ms: u64) -> Limits {
    Limits { connections, idle: Duration::from_millis(idle_ms) }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let target = Target::start(|_| answer(200, "ok")).await;
    let client = Setup::default().client();
    for _ in 0..5 {
        assert_eq!(status(&post(&client, &target.url("/x")).await), 200);
    }
    assert_eq!((target.seen.opened(), target.seen.requests().len()), (1, 5));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_delivery() {
    let target = Target::start(|_| last("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let client = Setup::default().client();
    for made in 1..=5 {
        assert_eq!(status(&post(&client, &target.url("/x")).await), 200);
        until("the client knows", || client.pool().closed_idle() == client.pool().idle()).await;
        assert_eq!(target.seen.requests().len(), made);
    }
}

/// The target closes a connection at the very moment at which it is used again.
#[tokio::test]
async fn what_was_not_written_is_sent_over_another_connection() {
    let target = Target::start(|number| match number {
        0 => last("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        _ => answer(202, ""),
    })
    .await;
    let client = Setup::default().client();
    assert_eq!(status(&post(&client, &target.url("/x")).await), 200);
    until("the target closed it", || target.seen.closed() == 1).await;
    // Whether the client has noticed is a race; both ways the second request is made once.
    match post(&client, &target.url("/x")).await {
        Reply::Answered { status, .. } => {
            assert_eq!((status.as_u16(), target.seen.requests().len()), (202, 2));
        }
        Reply::Broken(_) => assert_eq!(target.seen.requests().len(), 1),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_target_that_closes_before_it_reads_was_sent_nothing_or_is_broken() {
    let target = Target::serve(|stream, _| async move { drop(stream) }).await;
    let reply = post(&Setup::default().client(), &target.url("/x")).await;
    assert!(matches!(reply, Reply::Broken(_) | Reply::ConnectFailed(_)), "{reply:?}");
}

#[tokio::test]
async fn connection_close_is_honoured() {
    let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let target = Target::start(move |_| Act::Answer(closing.into())).await;
    let client = Setup::default().client();
    for _ in 0..2 {
        assert_eq!(status(&post(&client, &target.url("/x")).await), 200);
    }
    assert_eq!(target.seen.opened(), 2);
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let target = Target::start(|_| answer(200, "")).await;
    let client = Setup { limits: limits(10, 80), ..Setup::default() }.client();
    assert_eq!(status(&post(&client, &target.url("/x")).await), 200);
    until("it is closed", || target.seen.closed() == 1).await;
    until("its slot is free", || client.pool().open(10) == 0).await;
}

#[tokio::test]
async fn the_longest_idle_connection_gives_way() {
    let (a, b, c) = (
        Target::start(|_| answer(200, "")).await,
        Target::start(|_| answer(200, "")).await,
        Target::start(|_| answer(200, "")).await,
    );
    let client = Setup { limits: limits(2, 60_000), ..Setup::default() }.client();
    for target in [&a, &b, &a, &c] {
        assert_eq!(status(&post(&client, &target.url("/x")).await), 200);
        assert!(client.pool().open(2) <= 2);
    }
    until("b, unused for longest, is closed", || b.seen.closed() == 1).await;
    assert_eq!((a.seen.opened(), a.seen.closed(), c.seen.closed()), (1, 0, 0));
}

#[tokio::test]
async fn whoever_finds_no_slot_waits_for_one() {
    let slow = Target::start(|_| Act::Silence).await;
    let target = Target::start(|_| answer(200, "")).await;
    let client = Setup { limits: limits(1, 60_000), ..Setup::default() }.client();
    let (slow_url, url) = (slow.url("/x"), target.url("/x"));
    let hanging = post_within(&client, &slow_url, Duration::from_millis(500));
    let waiting = async {
        until("the only slot is taken", || !slow.seen.requests().is_empty()).await;
        post(&client, &url).await
    };
    let (hung, waited) = tokio::join!(hanging, waiting);
    assert!(matches!(hung, Reply::TimedOut { sent: true }), "{hung:?}");
    assert_eq!(status(&waited), 200);

    let hanging = post_within(&client, &slow_url, Duration::from_secs(2));
    let impatient = async {
        until("the only slot is taken", || slow.seen.requests().len() == 2).await;
        post_within(&client, &url, Duration::from_millis(50)).await
    };
    let (_, gave_up) = tokio::join!(hanging, impatient);
    assert!(matches!(gave_up, Reply::TimedOut { sent: false }), "{gave_up:?}");
}

/// Whoever no longer wants an answer leaves nothing behind.
#[tokio::test]
async fn a_cancelled_request_closes_its_connection_at_once() {
    let target = Target::start(|_| Act::Silence).await;
    let client = Setup::default().client();
    let url = target.url("/x");
    let cancelled = async {
        until("it is under way", || target.seen.requests().len() == 1).await;
    };
    tokio::select! {
        reply = post(&client, &url) => panic!("{reply:?}"),
        () = cancelled => {}
    }
    until("it is closed", || target.seen.closed() == 1).await;
    assert_eq!(client.pool().open(Limits::default().connections), 0);
}

#[tokio::test]
async fn many_at_once_get_a_connection_each_and_keep_them() {
    let target = Target::start(|_| answer(200, "")).await;
    let client = Setup::default().client();
    for _ in 0..3 {
        let url = target.url("/x");
        let all = (0..20).map(|_| post(&client, &url));
        for reply in futures_util::future::join_all(all).await {
            assert_eq!(status(&reply), 200);
        }
    }
    assert!(target.seen.opened() <= 20, "{}", target.seen.opened());
    assert_eq!(target.seen.requests().len(), 60);
}
