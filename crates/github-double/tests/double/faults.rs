//! Scripts: answers in order, and connections that break.

use std::time::{Duration, Instant};

use postrider_github_double::{Ending, Play, ScriptError};

use crate::harness::{CAP, client, client_with_timeout, dispatch, double, status};

#[tokio::test]
async fn plays_are_used_up_in_order_per_repository() {
    let double = double().await;
    let client = client();
    let plays = vec![
        Play::status(503),
        Play::Recorded("bad-credentials-401"),
        Play::RecordedWith {
            case: "secondary-limit-429-retry-after",
            headers: vec![("retry-after".to_owned(), "1".to_owned())],
        },
        Play::Accept,
    ];
    double.script("o/r", plays).unwrap();
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 503);
    assert_eq!(status(dispatch(&client, &double, "o/other")).await, 204);
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 401);
    let limited = dispatch(&client, &double, "o/r").send().await.unwrap();
    assert_eq!(
        (limited.status().as_u16(), &limited.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(double.plays_left("o/r"), 1);
    let unchecked = dispatch(&client, &double, "o/r").body("no JSON");
    assert_eq!(status(unchecked).await, 204);
    assert_eq!(status(dispatch(&client, &double, "o/r").body("no JSON")).await, 400);
    assert_eq!(double.counts().accepted, 2);
}

#[tokio::test]
async fn the_last_play_repeats_when_asked_until_cleared() {
    let double = double().await;
    let client = client();
    double.script_repeating("o/r", vec![Play::Check, Play::status(500)]).unwrap();
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 204);
    for _ in 0..3 {
        assert_eq!(status(dispatch(&client, &double, "o/r")).await, 500);
    }
    double.clear_script("o/r");
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 204);
}

#[tokio::test]
async fn reads_have_scripts_of_their_own() {
    let double = double().await;
    let client = client();
    double.script("GET /rate_limit", vec![Play::status(503)]).unwrap();
    double.script("o/r", vec![Play::status(500)]).unwrap();
    let url = format!("{}/api/v3/rate_limit", double.base_url());
    assert_eq!(status(client.get(&url).bearer_auth("test-token")).await, 503);
    assert_eq!(status(client.get(&url).bearer_auth("test-token")).await, 200);
    assert_eq!(double.plays_left("o/r"), 1, "a read uses no play of the dispatches");
}

#[tokio::test]
async fn a_script_that_cannot_be_played_is_refused() {
    let double = double().await;
    let unknown = double.script("o/r", vec![Play::Recorded("no-such-case")]);
    assert_eq!(unknown, Err(ScriptError::UnknownCase("no-such-case".to_owned())));
    let late = Play::Delay(Duration::ZERO, Box::new(Play::status(99)));
    assert_eq!(double.script("o/r", vec![late]), Err(ScriptError::BadStatus(99)));
    let redirect = Play::Redirect { status: 307, location: "a\nb".to_owned() };
    assert!(matches!(double.script("o/r", vec![redirect]), Err(ScriptError::BadHeader(_))));
    assert_eq!(double.plays_left("o/r"), 0);
}

/// Whether an error has this kind of input or output error at its root.
fn caused_by(error: &reqwest::Error, kind: std::io::ErrorKind) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == kind) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[tokio::test]
async fn resets_are_resets_and_cuts_are_not() {
    let double = double().await;
    let big = vec![b' '; 3 * 1024 * 1024];
    let table = [(Play::Reset, true, Ending::Reset), (Play::LostAnswer, false, Ending::Cut)];
    for (play, reset, ending) in table {
        double.script("o/r", vec![play]).unwrap();
        let error = dispatch(&client(), &double, "o/r").send().await.unwrap_err();
        let seen = caused_by(&error, std::io::ErrorKind::ConnectionReset);
        assert_eq!(seen, reset, "{error:?}");
        assert_eq!(double.journal().last().unwrap().ending, ending);
    }
    double.script("o/r", vec![Play::ResetBeforeRead]).unwrap();
    let unread = dispatch(&client(), &double, "o/r").body(big).send().await;
    assert!(unread.is_err());
    let entry = double.journal().pop().unwrap();
    assert_eq!((entry.ending, entry.body), (Ending::Reset, None));
    assert_eq!(status(dispatch(&client(), &double, "o/r")).await, 204, "goes on afterwards");
}

#[tokio::test]
async fn a_lost_answer_counts_as_accepted() {
    let double = double().await;
    let client = client();
    double.script("o/r", vec![Play::LostAnswer]).unwrap();
    assert!(dispatch(&client, &double, "o/r").send().await.is_err());
    assert_eq!(status(dispatch(&client, &double, "o/r")).await, 204);
    let counts = double.counts();
    assert_eq!((counts.accepted, counts.distinct, counts.duplicates), (2, 1, 1));
    assert_eq!(double.accepted()[0].status, None);
}

#[tokio::test]
async fn silence_lasts_as_long_as_the_client_waits() {
    let double = double().await;
    let patience = Duration::from_millis(200);
    double.script("o/r", vec![Play::HalfOpen]).unwrap();
    let before = Instant::now();
    let error = dispatch(&client_with_timeout(patience), &double, "o/r").send().await.unwrap_err();
    assert!(error.is_timeout());
    assert!(before.elapsed() >= patience);
    let entry = double.journal().pop().unwrap();
    assert_eq!((entry.ending, entry.accepted), (Ending::Silent, false));
}

#[tokio::test]
async fn stopping_ends_what_is_silent() {
    let double = double().await;
    let client = client();
    double.script("o/r", vec![Play::HalfOpen]).unwrap();
    let waiting = dispatch(&client, &double, "o/r").send();
    let stopping = async {
        while double.counts().requests == 0 {
            tokio::task::yield_now().await;
        }
        let addr = double.addr();
        double.stop().await;
        addr
    };
    let (answer, addr) =
        tokio::time::timeout(CAP, async { tokio::join!(waiting, stopping) }).await.unwrap();
    assert!(answer.is_err());
    assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn delays_and_latency_come_after_the_journal() {
    let double = double().await;
    let delay = Duration::from_millis(300);
    double.script("o/r", vec![Play::Delay(delay, Box::new(Play::Accept))]).unwrap();
    let hasty = client_with_timeout(Duration::from_millis(50));
    assert!(dispatch(&hasty, &double, "o/r").send().await.unwrap_err().is_timeout());
    assert_eq!(double.counts().accepted, 1, "carried out although nobody waited");
    double.set_latency(Some(delay));
    let before = Instant::now();
    assert_eq!(status(dispatch(&client(), &double, "o/r")).await, 204);
    assert!(before.elapsed() >= delay);
}

#[tokio::test]
async fn bodies_may_be_slow_or_huge() {
    let double = double().await;
    let every = Duration::from_millis(20);
    let slow = Play::SlowBody { status: 500, body: "0123456789".to_owned(), chunk: 3, every };
    let bytes = 3 * 1024 * 1024 + 1;
    double.script("o/r", vec![slow, Play::HugeBody { status: 502, bytes }]).unwrap();
    let before = Instant::now();
    let answer = dispatch(&client(), &double, "o/r").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "0123456789");
    assert!(before.elapsed() >= every * 4);
    let answer = dispatch(&client(), &double, "o/r").send().await.unwrap();
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.bytes().await.unwrap().len() as u64, bytes);
}

#[tokio::test]
async fn redirects_name_their_target() {
    let double = double().await;
    let location = format!("{}/repos/new/name/dispatches", double.base_url());
    let play = Play::Redirect { status: 307, location: location.clone() };
    double.script("old/name", vec![play]).unwrap();
    let answer = dispatch(&client(), &double, "old/name").send().await.unwrap();
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.headers()["location"], location.as_str());
    assert!(answer.text().await.unwrap().contains("Moved Permanently"));
}
