//! Members of an event that mean nothing: mistyped ones, mostly.

use super::input::{Event, Kind};

/// Members that are told one by one.
const MOST: usize = 5;

/// Which members of these events mean nothing to postrider, each once, by their paths; of a
/// CloudEvent its envelope decides.
pub(super) fn ignored(events: &[Event]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for event in events.iter().filter(|event| event.kind == Kind::Plain) {
        let mut json = serde_json::Deserializer::from_str(&event.json);
        let read: Result<postrider_api::Event, _> = serde_ignored::deserialize(&mut json, |path| {
            let path = path.to_string();
            if found.len() < MOST && !found.contains(&path) {
                found.push(path);
            }
        });
        // What is wrong with it the intake says.
        if read.is_err() || found.len() == MOST {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::input::parse;
    use super::*;

    fn ignored_of(text: &str) -> Vec<String> {
        ignored(&parse(text).unwrap())
    }

    #[test]
    fn mistyped_members_are_found_where_they_are() {
        let event = r#"{"event_name": "contract_published", "consumr": 1,
            "consumer": {"name": "C", "version_numbr": "1", "extra": {"name": 2}},
            "provider": {"name": "P", "version_descriptions": []}}"#;
        let expected = ["consumr", "consumer.version_numbr", "consumer.extra"];
        assert_eq!(ignored_of(event), expected);
        assert_eq!(ignored_of(&format!("[{event},{event}]")), expected);
        assert!(ignored_of(r#"{"specversion": "1.0", "anything": 1}"#).is_empty());
        assert!(ignored_of(r#"{"event_name": 1, "x": 2}"#).len() < 2);
        let many: Vec<String> = (0..20).map(|number| format!("\"x{number}\": 1")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(ignored_of(&many).len(), MOST);
    }
}
