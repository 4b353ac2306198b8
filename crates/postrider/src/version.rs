//! Which program this is.

use std::process::ExitCode;

use postrider_cli::{Exit, Format, Out};
use serde_json::json;

/// Of the release.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built of, or `unknown`.
pub(crate) const REVISION: &str = env!("POSTRIDER_BUILT_OF");
/// Both, as `--version` says them.
pub(crate) const LONG: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (revision ", env!("POSTRIDER_BUILT_OF"), ")");

/// `postrider version`.
pub(crate) fn print(format: Format, out: &mut Out) -> ExitCode {
    match format {
        Format::Json => out.json(&json!({ "version": VERSION, "revision": REVISION })),
        Format::Table => out.line(format_args!("postrider {LONG}")),
    }
    Exit::Fine.into()
}
