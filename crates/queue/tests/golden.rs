//! Messages that some version of this program wrote are read for ever. A file in `golden` is
//! never changed; a new version gets a new file.
#![expect(clippy::unwrap_used, reason = "a test that can not go on fails")]

use postrider_domain::LaneId;
use postrider_queue::Message;

const V1: &[u8] = include_bytes!("golden/v1.json");
const V1_WITH_A_LATER_KEY: &[u8] = include_bytes!("golden/v1_with_a_later_key.json");

fn expected() -> Message {
    let delivery_id = "01936e2a-7b00-7000-8000-0123456789ab".parse().unwrap();
    Message { delivery_id, lane_id: LaneId(7), trace: None }
}

#[test]
fn version_1_is_read() {
    assert_eq!(Message::from_body(V1), Ok(expected()));
    assert_eq!(Message::from_body(V1_WITH_A_LATER_KEY), Ok(expected()));
}

#[test]
fn version_1_is_what_is_written() {
    assert_eq!(expected().to_body(), V1);
}
