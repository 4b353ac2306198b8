//! A webhook's request with its placeholders: rendered or refused, and what is shown of it holds
//! no secret. The first line is the URL, the second a header's value, the rest the body.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use postrider_domain::{
    Body, BodyMode, DeliveryId, Event, EventName, Pacticipant, RequestTemplate,
};
use postrider_render::{CompiledRequest, Redactor, Variables, describe_request};
use secrecy::SecretString;
use uuid::Uuid;

const SECRET: &str = "s3cr3t/Wörd+\"<&>";

fn event(text: &str) -> Event {
    let side = |name: &str| Pacticipant {
        name: name.to_owned(),
        version_number: text.to_owned(),
        tags: vec![text.to_owned(), "main".to_owned()],
        ..Pacticipant::default()
    };
    Event {
        event_name: EventName::ContractRequiringVerificationPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: side("web"),
        provider: side("billing"),
        pact_url: text.to_owned(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let (url, header) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let body = lines.next().unwrap_or_default();
    let json = serde_json::from_str(body).ok().map(Body::Json);
    let secrets: BTreeMap<String, SecretString> =
        [("githubToken".to_owned(), SecretString::from(SECRET))].into();
    let event = event(body);
    let vars = Variables {
        event: &event,
        event_name: "contract_requiring_verification_published",
        delivery_id: DeliveryId(Uuid::from_u128(7)),
    };
    for mode in [BodyMode::Json, BodyMode::Raw] {
        let request = RequestTemplate {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: vec![("x-value".to_owned(), header.to_owned())],
            body: Some(json.clone().unwrap_or_else(|| Body::Text(body.to_owned()))),
            body_mode: mode,
            username: None,
            password: None,
        };
        let redactor = Redactor::for_request(&request, &secrets, &[]);
        match CompiledRequest::compile(&request).render(&vars, &secrets, "postrider") {
            Ok(rendered) => {
                let shown = describe_request(&rendered, &redactor);
                assert!(!shown.contains(SECRET) || text.contains(SECRET), "{shown}");
            }
            Err(error) => assert!(!error.to_string().contains(SECRET) || text.contains(SECRET)),
        }
    }
});
