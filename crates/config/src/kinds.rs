//! Settings of the types that several have.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use postrider_domain::{Rate, print_duration};
use secrecy::SecretString;
use url::Url;

use crate::declaration::Setting;
use crate::parse;

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// A duration within bounds, ends included.
pub(crate) fn duration(ending: &'static str, least: Duration, most: Duration) -> Setting<Duration> {
    let kind = format!("duration, {} to {}", print_duration(least), print_duration(most));
    Setting::new(ending, kind, parse::duration(least, most))
}

/// How often something is done: 10 ms, so that tests need not wait, to a day.
pub(crate) fn interval(ending: &'static str) -> Setting<Duration> {
    duration(ending, 10 * MILLISECOND, DAY)
}

/// A whole number within bounds, ends included.
pub(crate) fn number<T>(ending: &'static str, least: T, most: T) -> Setting<T>
where
    T: FromStr + PartialOrd + Display + Copy + 'static,
{
    Setting::new(ending, format!("whole number, {least} to {most}"), parse::number(least, most))
}

/// A rate.
pub(crate) fn rate(ending: &'static str) -> Setting<Rate> {
    Setting::new(ending, "rate: N/s, N/min, N/h, N/6s, or unlimited", parse::rate)
}

/// An address to listen on.
pub(crate) fn address(ending: &'static str) -> Setting<SocketAddr> {
    Setting::new(ending, "address and port", parse::listen)
}

/// A path.
pub(crate) fn path(ending: &'static str) -> Setting<PathBuf> {
    Setting::new(ending, "path", parse::path)
}

/// An `http` or `https` URL.
pub(crate) fn http_url(ending: &'static str) -> Setting<Url> {
    Setting::new(ending, "http or https URL", parse::http_url)
}

/// A URL of one of these schemes that nobody else should read.
pub(crate) fn secret_url(
    ending: &'static str,
    schemes: &'static [&'static str],
    example: &'static str,
) -> Setting<SecretString> {
    let kind = format!("URL of {}", schemes.join(", "));
    Setting::new(ending, kind, parse::secret_url(schemes, example)).secret().example(example)
}
