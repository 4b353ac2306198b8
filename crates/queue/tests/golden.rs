//! Messages that some version of this program wrote are read for ever. A file in `golden` is
//! never changed; a new version gets a new file.
#![expect(clippy::unwrap_used, reason = "a test that can not go on fails")]

use postrider_domain::{DeliveryId, LaneId};
use postrider_queue::Message;

const V1: &[u8] = include_bytes!("golden/v1.json");
const V1_WITH_A_LATER_KEY: &[u8] = include_bytes!("golden/v1_with_a_later_key.json");
const V2: &[u8] = include_bytes!("golden/v2.json");
const V2_WITH_A_LATER_KEY: &[u8] = include_bytes!("golden/v2_with_a_later_key.json");

fn first() -> DeliveryId {
    "01936e2a-7b00-7000-8000-0123456789ab".parse().unwrap()
}

fn version_2() -> Message {
    let second = "01936e2a-7b00-7000-8000-0123456789ac".parse().unwrap();
    Message {
        deliveries: vec![(first(), LaneId(7)), (second, LaneId(8))],
        wake: vec![LaneId(9)],
        calls: Vec::new(),
    }
}

#[test]
fn version_1_is_read() {
    let version_1 = Message { deliveries: vec![(first(), LaneId(7))], ..Message::default() };
    assert_eq!(Message::from_body(V1), Ok(version_1.clone()));
    assert_eq!(Message::from_body(V1_WITH_A_LATER_KEY), Ok(version_1));
}

#[test]
fn version_2_is_read() {
    assert_eq!(Message::from_body(V2), Ok(version_2()));
    assert_eq!(Message::from_body(V2_WITH_A_LATER_KEY), Ok(version_2()));
}

#[test]
fn version_2_is_what_is_written() {
    assert_eq!(version_2().to_body(), V2);
}
