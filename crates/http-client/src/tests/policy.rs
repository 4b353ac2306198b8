//! Addresses that may not be reached are not connected to, whatever they are called.

use super::harness::{Setup, Target, answer, names, post, status};
use crate::reply::Reply;

#[tokio::test]
async fn forbidden_addresses_are_never_connected_to() {
    let target = Target::start(|_| answer(200, "")).await;
    let port = target.address.port();
    let client = Setup { allowed: &[], ..Setup::default() }.client();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "2130706433",
        "0177.1",
        "127.1.",
        "0",
        "169.254.169.254",
        "168.63.129.16",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        let reply = post(&client, &format!("http://{host}:{port}/hook/x")).await;
        assert!(matches!(reply, Reply::Blocked(_)), "{host}: {reply:?}");
    }
    assert_eq!(target.seen.opened(), 0);
}

#[tokio::test]
async fn a_name_is_judged_by_every_address_it_resolves_to() {
    let target = Target::start(|_| answer(200, "")).await;
    let port = target.address.port();
    let lookup = names(&[
        ("inside.test", &["10.0.0.1", "fd00::1", "169.254.169.254"]),
        ("half.test", &["10.0.0.1", "127.0.0.1", "fd00::1"]),
        ("mapped.test", &["::ffff:10.0.0.1"]),
    ]);
    let client = Setup { lookup, ..Setup::default() }.client();
    for name in ["inside.test", "mapped.test"] {
        let reply = post(&client, &format!("http://{name}:{port}/")).await;
        let Reply::Blocked(why) = reply else { panic!("{name}: {reply:?}") };
        assert!(why.starts_with("deliveries to "), "{why}");
    }
    assert_eq!(status(&post(&client, &format!("http://half.test:{port}/")).await), 200);
}

#[tokio::test]
async fn no_error_tells_the_url() {
    let client = Setup { lookup: names(&[]), ..Setup::default() }.client();
    for url in [
        "http://127.0.0.1:1/hook/x?token=s3cr3t-value",
        "http://unknown.test/s3cr3t-value",
        "https://user:s3cr3t-value@127.0.0.1:1/",
        "http://10.0.0.1/s3cr3t-value",
    ] {
        let reply = post(&client, url).await;
        assert!(!format!("{reply:?}").contains("s3cr3t-value"), "{reply:?}");
    }
}
