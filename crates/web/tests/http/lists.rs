//! Every list of the operations API is bounded, goes on where a page ended, and says how many rows
//! there are.

use std::collections::BTreeSet;

use http::StatusCode;
use postrider_store::{BrokerRead, IncidentKind};
use serde_json::json;

use crate::harness::{Harness, event, hook};
use crate::watching::{finding, lease, open, pair};

/// The lists, and what their rows are called.
const LISTS: [(&str, &str); 9] = [
    ("audit", "entries"),
    ("brokers", "brokers"),
    ("credentials", "credentials"),
    ("deliveries", "deliveries"),
    ("events", "events"),
    ("freshness", "pairs"),
    ("incidents", "incidents"),
    ("lanes", "lanes"),
    ("secrets", "secrets"),
];

/// Three of everything.
async fn full() -> Harness {
    let harness = Harness::start().await;
    for name in ["one", "two", "three"] {
        let value = json!({ "value": name });
        harness.json("PUT", &format!("/api/v1/secrets/{name}"), &value).await;
        let mut webhook = hook();
        webhook["request"]["headers"]["Authorization"] = json!(format!("Bearer ${{user.{name}}}"));
        webhook["provider"] = json!({ "name": name });
        harness.webhook(&webhook).await;
        let mut event = event();
        event["provider"] = json!({ "name": name });
        harness.event(&event).await;
    }
    let lease = lease(&harness.store).await;
    let rows = ["one", "two", "three"].map(|consumer| pair("a", consumer, &[]));
    harness.store.save_pairs(lease, &rows, None).await.unwrap();
    let found = ["one", "two", "three"].map(|lane| finding(IncidentKind::LaneHeld, lane));
    open(&harness, lease, found.to_vec()).await;
    for broker in ["one", "two", "three"] {
        let read = BrokerRead { broker: broker.to_owned(), answered_at: None, failing: None };
        harness.store.save_broker_read(lease, &read).await.unwrap();
    }
    harness
}

#[tokio::test]
async fn every_list_comes_in_pages_and_says_how_many_rows_there_are() {
    let harness = full().await;
    for (list, rows) in LISTS {
        let mut seen = BTreeSet::new();
        let mut cursor = String::new();
        let mut pages = 0;
        loop {
            let page = harness.get(&format!("/api/v1/{list}?limit=2{cursor}")).await.json();
            pages += 1;
            let found = page[rows].as_array().unwrap_or_else(|| panic!("{list}: {page}"));
            assert!(found.len() <= 2, "{list}: {page}");
            seen.extend(found.iter().map(ToString::to_string));
            let whole = harness.get(&format!("/api/v1/{list}?limit=1000")).await.json();
            assert_eq!(page["total"], whole[rows].as_array().unwrap().len(), "{list}: {page}");
            assert_eq!(page["total_is_exact"], true, "{list}: {page}");
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(pages > 1 && seen.len() >= 3, "{list}: {pages} pages, {seen:?}");
        for wrong in ["limit=0", "limit=1001", "limit=x", "cursor=%21", "sort=name"] {
            let answer = harness.get(&format!("/api/v1/{list}?{wrong}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{list}?{wrong}: {answer:?}");
            let name = wrong.split('=').next().unwrap();
            assert!(answer.text.contains(&format!("the parameter {name} ")), "{answer:?}");
        }
    }
    harness.end().await;
}

#[tokio::test]
async fn what_a_filter_names_is_counted() {
    let harness = full().await;
    for (query, count) in [
        ("freshness?state=unknown", 3),
        ("freshness?state=stale", 0),
        ("freshness?consumer=two&limit=1", 1),
        ("incidents?kind=lane_held&limit=1", 3),
        ("incidents?open=true&kind=poison", 0),
    ] {
        let list = harness.get(&format!("/api/v1/{query}")).await.json();
        assert_eq!(list["total"], count, "{query}: {list}");
    }
    harness.end().await;
}
