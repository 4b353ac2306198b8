//! One 307 or 308 to the same origin is followed, nothing else.

use postrider_github_double::{Double, Options, Play};

use super::harness::{Setup, post, status};
use crate::exchange::BODY_READ_MAX;
use crate::reply::Reply;

/// Sends to a hook of the double that plays `plays`; the answer, and how many requests came.
async fn played(plays: Vec<Play>) -> (Reply, u64) {
    let double = Double::start(Options::default()).await.unwrap();
    double.script("target", plays).unwrap();
    let url = format!("{}/hook/target", double.base_url());
    let reply = post(&Setup::default().client(), &url).await;
    (reply, double.counts().requests)
}

fn redirect(status: u16, location: &str) -> Play {
    Play::Redirect { status, location: location.to_owned() }
}

#[tokio::test]
async fn one_307_or_308_to_the_same_origin_is_followed_with_its_body() {
    for code in [307, 308] {
        let double = Double::start(Options::default()).await.unwrap();
        double.script("old", vec![redirect(code, "/hook/new")]).unwrap();
        let url = format!("{}/hook/old", double.base_url());
        assert_eq!(status(&post(&Setup::default().client(), &url).await), 200);
        let journal = double.journal();
        assert_eq!(journal.len(), 2);
        assert_eq!(journal[1].method, "POST");
        assert_eq!(journal[1].body.as_deref(), Some("{\"a\":1}"));
    }
}

#[tokio::test]
async fn a_second_redirect_is_not_followed() {
    let double = Double::start(Options::default()).await.unwrap();
    double.script("a", vec![redirect(307, "/hook/b")]).unwrap();
    double.script("b", vec![redirect(307, "/hook/c")]).unwrap();
    let url = format!("{}/hook/a", double.base_url());
    assert_eq!(status(&post(&Setup::default().client(), &url).await), 307);
    assert_eq!(double.counts().requests, 2);
}

#[tokio::test]
async fn other_redirects_are_answers() {
    for code in [301, 302, 303] {
        let (reply, requests) = played(vec![redirect(code, "/hook/elsewhere")]).await;
        assert_eq!((status(&reply), requests), (code, 1));
    }
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed() {
    let other = Double::start(Options::default()).await.unwrap();
    let away = format!("{}/hook/target", other.base_url());
    for location in [away.as_str(), "https://127.0.0.1/hook/target", "mailto:a@b"] {
        let (reply, requests) = played(vec![redirect(307, location)]).await;
        assert_eq!((status(&reply), requests), (307, 1), "{location}");
    }
    assert_eq!(other.counts().requests, 0);
}

#[tokio::test]
async fn a_huge_body_is_cut_and_the_status_counts() {
    let (reply, _) = played(vec![Play::HugeBody { status: 200, bytes: 50_000_000 }]).await;
    let Reply::Answered { body, .. } = reply else { panic!("no answer") };
    assert_eq!(body.len(), BODY_READ_MAX);
}

#[tokio::test]
async fn a_reset_after_the_request_is_broken_not_unconnected() {
    let (reply, requests) = played(vec![Play::Reset]).await;
    assert!(matches!(reply, Reply::Broken(_)), "{reply:?}");
    assert_eq!(requests, 1, "the client must not send again by itself");
}
