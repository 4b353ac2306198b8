//! Arguments in the order in which the parser wants them.
//!
//! What says where postrider is and how to write may stand before the command, as people who use it
//! all day have it in an alias. And half of the uuids of webhooks are made of the alphabet in which
//! options are written: one that begins with a hyphen is still no option.

use std::ffi::OsString;

/// Options with a value, and without one, that may stand before the command.
const WITH_VALUE: [&str; 4] = ["--url", "--token-file", "--output", "-o"];
const ALONE: [&str; 1] = ["--json"];
/// Characters of a webhook's uuid.
const UUID: usize = 22;

/// The program's name first, then what it was given.
pub(super) fn arranged(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut front: Vec<OsString> = args.next().into_iter().collect();
    let (mut moved, mut after) = (Vec::new(), Vec::new());
    let mut args = args.peekable();
    // Before the command.
    while let Some(arg) = args.next_if(is_option) {
        let text = arg.to_string_lossy().into_owned();
        let name = text.split('=').next().unwrap_or_default();
        let is_short = text.starts_with("-o") && !text.starts_with("--");
        if ALONE.contains(&name) || (is_short && text != "-o") {
            moved.push(arg);
        } else if WITH_VALUE.contains(&name) {
            moved.push(arg);
            if !text.contains('=') {
                moved.extend(args.next());
            }
        } else {
            front.push(arg);
            if text == "--config" {
                front.extend(args.next());
            }
        }
    }
    let mut ended = false;
    for arg in args {
        if ended {
            after.push(arg);
        } else if arg == "--" {
            ended = true;
        } else if !is_uuid(&arg) {
            front.push(arg);
        } else if let Some(option) = front.last_mut().filter(|last| *last == "--webhook") {
            option.push("=");
            option.push(arg);
        } else {
            after.push(arg);
        }
    }
    front.extend(moved);
    if ended || !after.is_empty() {
        front.push("--".into());
    }
    front.extend(after);
    front
}

fn is_option(arg: &OsString) -> bool {
    arg.to_string_lossy().starts_with('-') && arg != "--" && arg != "-"
}

/// Whether it is a webhook's uuid that looks like an option.
fn is_uuid(arg: &OsString) -> bool {
    let text = arg.to_string_lossy();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    // Long options are words in lower case.
    let is_word = text.starts_with("--")
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    text.len() == UUID && text.starts_with('-') && text.bytes().all(fits) && !is_word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(given: &str) -> String {
        let args = arranged(given.split(' ').map(OsString::from));
        args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_stands_before_the_command_may_stand_behind_it() {
        for (given, arranged) in [
            ("p lanes list", "p lanes list"),
            ("p --url http://h lanes list", "p lanes list --url http://h"),
            ("p -o json --config f lanes list", "p --config f lanes list -o json"),
            ("p -ojson --token-file=t lanes list", "p lanes list -ojson --token-file=t"),
            ("p --json webhooks show -- x", "p webhooks show --json -- x"),
            ("p --version", "p --version"),
        ] {
            assert_eq!(text(given), arranged, "{given}");
        }
    }

    #[test]
    fn uuids_are_no_options() {
        for (given, arranged) in [
            (
                "p webhooks show -oCteR1tS9v0HLxPmpkNaA --json",
                "p webhooks show --json -- -oCteR1tS9v0HLxPmpkNaA",
            ),
            ("p webhooks test --CteR1tS9v0HLxPmpkNaA", "p webhooks test -- --CteR1tS9v0HLxPmpkNaA"),
            (
                "p deliveries list --webhook -hCteR1tS9v0HLxPmpkNaA",
                "p deliveries list --webhook=-hCteR1tS9v0HLxPmpkNaA",
            ),
            ("p webhooks show -o json x", "p webhooks show -o json x"),
        ] {
            assert_eq!(text(given), arranged, "{given}");
        }
    }
}
