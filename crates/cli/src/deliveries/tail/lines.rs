//! Server-sent events out of bytes, as the HTML standard reads them.

/// Bytes of one event at most; what is longer is not ours.
const MOST: usize = 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Its name; empty where only the place moves on.
    pub(super) event: String,
    /// Where the stream is then.
    pub(super) id: Option<String>,
    /// What it says.
    pub(super) data: String,
}

/// What came so far and is no whole event yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The events that end in this piece.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<Message> {
        self.rest.extend_from_slice(piece);
        let mut messages = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            messages.extend(message(&String::from_utf8_lossy(&block)));
        }
        if self.rest.len() > MOST {
            self.rest.clear();
        }
        messages
    }
}

/// `None` for a comment.
fn message(block: &str) -> Option<Message> {
    let mut message = Message::default();
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut message.event),
            "id" => message.id = Some(value.to_owned()),
            "data" => message.data.push_str(value),
            _ => {}
        }
    }
    (message != Message::default()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_any_pieces() {
        let text = "retry: 3000\n\nevent: delivery\nid: a\ndata: {\"x\":\"é\"}\n\n: hb\nid: b\n\n";
        let delivery = Message {
            event: "delivery".to_owned(),
            id: Some("a".to_owned()),
            data: "{\"x\":\"é\"}".to_owned(),
        };
        let beat = Message { id: Some("b".to_owned()), ..Message::default() };
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let found: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|piece| lines.take(piece)).collect();
            assert_eq!(found, [delivery.clone(), beat.clone()], "{size}");
        }
    }
}
