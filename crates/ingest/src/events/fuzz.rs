//! Reads a call of `POST /events` for the program that fuzzes it (`fuzz/`).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use postrider_domain::EventSource;
use postrider_telemetry::TraceContext;

use super::{Call, Form, text_of};

/// What is read must be read again the same. `attributes` are those of a CloudEvent in binary mode.
pub fn events(content_type: &str, attributes: &[(&str, &str)], body: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    for (name, value) in attributes {
        let name = HeaderName::from_bytes(format!("ce-{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let Ok(form) = Form::of(&headers) else { return };
    let trace = TraceContext::root([1; 24]);
    let call = Call { form, source: EventSource::Api, header_key: None, trace };
    let Ok(text) = text_of(body) else { return };
    let Ok(pieces) = form.split(text) else { return };
    for piece in &pieces.pieces {
        match (call.read_piece(&headers, piece), call.read_piece(&headers, piece)) {
            (Ok(once), Ok(again)) => {
                assert_eq!(once.fingerprint, again.fingerprint);
                assert_eq!(once.event.text(), again.event.text());
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("read only once"),
        }
    }
}
