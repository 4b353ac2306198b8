//! Tests of the wire format. Old messages as files are in `tests/golden`.

use proptest::prelude::*;

use super::*;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn id(number: u128) -> DeliveryId {
    DeliveryId(uuid::Uuid::from_u128(number))
}

fn message() -> Message {
    let deliveries = vec![(id(1), LaneId(7)), (id(2), LaneId(-3))];
    Message { deliveries, wake: vec![LaneId(9)], calls: Vec::new() }
}

fn with_header(value: AMQPValue) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(TRACEPARENT.into(), value);
    BasicProperties::default().with_headers(headers)
}

#[test]
fn a_message_comes_back() {
    assert_eq!(Message::from_body(&message().to_body()), Ok(message()));
    let nothing = Message::default();
    assert_eq!(Message::from_body(&nothing.to_body()), Ok(nothing));
}

#[test]
fn it_is_persistent_json_with_its_trace() {
    let trace: TraceContext = TRACE.parse().unwrap();
    let properties = properties(Some(trace));
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!(trace_of(&properties), Some(trace));
    assert_eq!(trace_of(&super::properties(None)), None);
}

#[test]
fn a_header_that_is_no_trace_is_none() {
    let values = [
        AMQPValue::LongString("nonsense".into()),
        AMQPValue::LongString(b"\xff\xfe".to_vec().into()),
        AMQPValue::LongInt(7),
    ];
    for value in values {
        assert_eq!(trace_of(&with_header(value.clone())), None, "{value:?}");
    }
    let short = with_header(AMQPValue::ShortString(TRACE.into()));
    assert_eq!(trace_of(&short), Some(TRACE.parse().unwrap()));
}

#[test]
fn a_later_version_is_told_apart_from_nonsense() {
    let version = |text: &str| Message::from_body(text.as_bytes());
    assert_eq!(version(r#"{"v":3}"#), Err(MessageError::Version(3)));
    assert_eq!(version(r#"{"v":3,"deliveries":{"7":["x"]}}"#), Err(MessageError::Version(3)));
    let ours = String::from_utf8(message().to_body()).unwrap();
    assert_eq!(version(&ours.replace("\"v\":2", "\"v\":9")), Err(MessageError::Version(9)));
    for nonsense in [
        "",
        "{}",
        "null",
        r#"{"v":1}"#,
        r#"{"v":1,"delivery_id":7}"#,
        r#"{"v":1,"deliveries":[]}"#,
        r#"{"v":2}"#,
        r#"{"v":2,"deliveries":[["x",7]]}"#,
        r#"{"v":2,"deliveries":[],"wake":["x"]}"#,
        "\u{0}",
    ] {
        let read = Message::from_body(nonsense.as_bytes());
        assert!(matches!(read, Err(MessageError::Malformed { .. })), "{nonsense:?}: {read:?}");
    }
    assert_eq!(Message::from_body(&vec![b' '; 20_000]), Err(MessageError::TooLong(20_000)));
}

fn fresh(count: usize) -> Vec<Fresh> {
    let call: TraceContext = TRACE.parse().unwrap();
    let of = |number: usize| Fresh {
        id: id(number as u128),
        lane: LaneId(7),
        // Two calls, and some without.
        call: match number % 3 {
            0 => None,
            rest => Some(call.child_of([u8::try_from(rest).unwrap(); 8])),
        },
    };
    (0..count).map(of).collect()
}

#[test]
fn deliveries_are_packed_in_order() {
    assert!(pack(&[], &[]).is_empty());
    let all = fresh(70);
    let messages = pack(&all, &[(LaneId(1), None), (LaneId(2), None)]);
    let sizes: Vec<usize> = messages.iter().map(|message| message.deliveries.len()).collect();
    assert_eq!(sizes, [32, 32, 6]);
    let packed = messages.iter().flat_map(|message| &message.deliveries).copied();
    assert!(packed.eq(all.iter().map(|fresh| (fresh.id, fresh.lane))));
    assert_eq!(messages[0].wake, [LaneId(1), LaneId(2)]);
    assert!(messages[1].wake.is_empty());
    let calls: Vec<TraceContext> = all[1..3].iter().filter_map(|fresh| fresh.call).collect();
    assert_eq!(messages[0].calls, calls, "each once, in order");
}

#[test]
fn lanes_alone_make_a_message() {
    let call: TraceContext = TRACE.parse().unwrap();
    let lanes: Vec<_> = (0..300).map(|lane| (LaneId(lane), Some(call))).collect();
    let messages = pack(&[], &lanes);
    let woken: Vec<usize> = messages.iter().map(|message| message.wake.len()).collect();
    assert_eq!(woken, [128, 128, 44]);
    assert!(messages.iter().all(|message| message.deliveries.is_empty()));
    assert!(messages.iter().all(|message| message.calls == [call]));
}

#[test]
fn a_full_message_fits() {
    let deliveries = vec![(id(u128::MAX), LaneId(i64::MIN)); MAX_DELIVERIES];
    let message = Message { deliveries, wake: vec![LaneId(i64::MIN); MAX_WAKE], calls: Vec::new() };
    assert!(message.to_body().len() * 3 <= MAX_BODY, "{}", message.to_body().len());
    assert_eq!(Message::from_body(&message.to_body()), Ok(message));
}

proptest! {
    #[test]
    fn any_ids_go_through(
        deliveries in prop::collection::vec((any::<u128>(), any::<i64>()), 0..40),
        wake in prop::collection::vec(any::<i64>(), 0..40),
    ) {
        let deliveries = deliveries.into_iter().map(|(number, lane)| (id(number), LaneId(lane)));
        let sent = Message {
            deliveries: deliveries.collect(),
            wake: wake.into_iter().map(LaneId).collect(),
            calls: Vec::new(),
        };
        prop_assert_eq!(Message::from_body(&sent.to_body()), Ok(sent));
    }

    #[test]
    fn any_bytes_are_an_answer(body in prop::collection::vec(any::<u8>(), 0..200)) {
        // Nothing random is a message.
        prop_assert!(Message::from_body(&body).is_err());
    }

    #[test]
    fn any_damage_to_a_message_is_an_answer(at in 0_usize..120, with in any::<u8>()) {
        let mut body = message().to_body();
        if let Some(byte) = body.get_mut(at) {
            *byte = with;
        }
        if let Ok(read) = Message::from_body(&body) {
            prop_assert!(read.deliveries.len() <= 2 && read.wake.len() <= 1);
        }
    }
}
