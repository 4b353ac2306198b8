//! Messages of any version: read or refused, and written again they say the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_queue::Message;

fuzz_target!(|body: &[u8]| {
    if let Ok(message) = Message::from_body(body) {
        let again = Message::from_body(&message.to_body()).expect("what was written is read");
        assert_eq!(message.deliveries, again.deliveries);
        assert_eq!(message.wake, again.wake);
    }
});
