//! Where a listener is.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use uuid::Uuid;

/// Bytes of a cursor.
const LENGTH: usize = 32;

/// A place in what is told, as text that nobody takes apart: the instant by the database's clock,
/// which every replica understands, and the entry's number at the poller that told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Everything until then was seen, and told up to the entry.
    pub(crate) at: Timestamp,
    /// Which poller.
    pub(crate) hub: Uuid,
    /// Its last entry that was told.
    pub(crate) number: u64,
}

impl Cursor {
    /// Of a listener who does not know where it was.
    pub(crate) const LOST: Self = Self { at: Timestamp::UNIX_EPOCH, hub: Uuid::nil(), number: 0 };

    /// `None` for what is no cursor.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (at, rest) = bytes.split_first_chunk::<8>().filter(|_| bytes.len() == LENGTH)?;
        let (number, hub) = rest.split_first_chunk::<8>()?;
        Some(Self {
            at: Timestamp::from_microsecond(i64::from_be_bytes(*at)).ok()?,
            hub: Uuid::from_slice(hub).ok()?,
            number: u64::from_be_bytes(*number),
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(self.at.as_microsecond().to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.hub.as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_went() {
        let at = "2026-11-22T12:00:00.123456Z".parse().unwrap();
        let cursor = Cursor { at, hub: Uuid::now_v7(), number: 7 };
        assert_eq!(Cursor::read(&cursor.to_string()), Some(cursor));
        for other in ["", "x", "AAAA", &format!("{cursor}AAAA")] {
            assert_eq!(Cursor::read(other), None, "{other}");
        }
    }
}
