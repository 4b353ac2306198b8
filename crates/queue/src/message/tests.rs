//! Tests of the wire format. Old messages as files are in `tests/golden`.

use proptest::prelude::*;

use super::*;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn message() -> Message {
    let delivery_id = "01936e2a-7b00-7000-8000-0123456789ab".parse().unwrap();
    Message { delivery_id, lane_id: LaneId(7), trace: Some(TRACE.parse().unwrap()) }
}

fn with_header(value: AMQPValue) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(TRACEPARENT.into(), value);
    BasicProperties::default().with_headers(headers)
}

#[test]
fn a_message_comes_back_with_its_trace() {
    let sent = message();
    assert_eq!(Message::read(&sent.to_body(), &sent.properties()), Ok(sent));
    let untraced = Message { trace: None, ..sent };
    assert_eq!(Message::read(&untraced.to_body(), &untraced.properties()), Ok(untraced));
}

#[test]
fn it_is_persistent_json() {
    let properties = message().properties();
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
}

#[test]
fn a_header_that_is_no_trace_is_none() {
    let body = message().to_body();
    let values = [
        AMQPValue::LongString("nonsense".into()),
        AMQPValue::LongString(b"\xff\xfe".to_vec().into()),
        AMQPValue::LongInt(7),
    ];
    for value in values {
        let read = Message::read(&body, &with_header(value.clone())).unwrap();
        assert_eq!(read.trace, None, "{value:?}");
    }
    let short = with_header(AMQPValue::ShortString(TRACE.into()));
    assert_eq!(Message::read(&body, &short), Ok(message()));
}

#[test]
fn a_later_version_is_told_apart_from_nonsense() {
    let later = br#"{"v":2,"deliveries":[]}"#;
    assert_eq!(Message::from_body(later), Err(MessageError::Version(2)));
    let same_keys = message().to_body();
    let same_keys = String::from_utf8(same_keys).unwrap().replace("\"v\":1", "\"v\":9");
    assert_eq!(Message::from_body(same_keys.as_bytes()), Err(MessageError::Version(9)));
    for nonsense in ["", "{}", "null", "{\"v\":1}", "{\"v\":1,\"delivery_id\":7}", "\u{0}"] {
        let read = Message::from_body(nonsense.as_bytes());
        assert!(matches!(read, Err(MessageError::Malformed { .. })), "{nonsense:?}: {read:?}");
    }
    assert_eq!(Message::from_body(&[b' '; 2000]), Err(MessageError::TooLong(2000)));
}

proptest! {
    #[test]
    fn any_ids_go_through(id in any::<u128>(), lane in any::<i64>()) {
        let delivery_id = DeliveryId(uuid::Uuid::from_u128(id));
        let sent = Message { delivery_id, lane_id: LaneId(lane), trace: None };
        prop_assert_eq!(Message::from_body(&sent.to_body()), Ok(sent));
    }

    #[test]
    fn any_bytes_are_an_answer(body in prop::collection::vec(any::<u8>(), 0..200)) {
        // Nothing random is a message.
        prop_assert!(Message::from_body(&body).is_err());
    }

    #[test]
    fn any_damage_to_a_message_is_an_answer(at in 0_usize..70, with in any::<u8>()) {
        let mut body = message().to_body();
        if let Some(byte) = body.get_mut(at) {
            *byte = with;
        }
        if let Ok(read) = Message::from_body(&body) {
            prop_assert_eq!(read.trace, None);
        }
    }
}
