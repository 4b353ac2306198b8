//! Tests of what spans may tell of a request.

use http::{HeaderMap, Method};
use secrecy::SecretString;
use uuid::Uuid;

use super::*;

fn target(url: &str) -> Target {
    let request = RenderedRequest {
        method: Method::POST,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: None,
        body_is_json: false,
    };
    Target::of(&request, &Redactor::new([&SecretString::from("hunter2/x")]))
}

#[test]
fn no_secret_is_in_the_url() {
    let shown =
        target("https://robot:hunter2@host.example:8443/a/hunter2%2Fx/b?token=hunter2#frag");
    assert_eq!(shown.url, "https://host.example:8443/a/********/b");
    assert_eq!((shown.host.as_str(), shown.port), ("host.example", Some(8443)));
    assert_eq!(target("https://h/").port, Some(443));
}

#[test]
fn the_first_span_follows_from_the_delivery() {
    let delivery = DeliveryId(Uuid::now_v7());
    assert_eq!(first_span(delivery), first_span(delivery));
    assert_ne!(first_span(delivery), first_span(DeliveryId(Uuid::now_v7())));
}
