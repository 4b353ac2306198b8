//! Instants as the broker writes them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// XML Schema, whole seconds, numeric offset.
pub(super) fn xml_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
