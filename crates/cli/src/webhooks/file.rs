//! Webhook documents from a file or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use postrider_api::broker::{InvalidDocuments, documents};
use serde_json::Value;

use crate::Failure;

/// A larger file is a mistake.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// What the file holds.
pub(super) fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let text = read_text(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    documents(&text).map_err(|error| match error {
        InvalidDocuments::Unreadable(_) => Failure::usage(format!("the file is {error}"))
            .fix("write one webhook document or a list of them"),
        InvalidDocuments::Empty => Failure::usage("the file holds no webhook"),
    })
}

fn read_text(path: &Path) -> io::Result<String> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    source.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    // Windows shells put a byte order mark first.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read_text_of(text: &str) -> Result<Vec<Value>, Failure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        read(file.path())
    }

    #[test]
    fn byte_order_marks_are_skipped() {
        assert_eq!(read_text_of("\u{feff}a: 1\n").unwrap(), [serde_json::json!({"a": 1})]);
        let broken = read_text_of("- {<<: 1, a: 2}\n").unwrap_err();
        assert!(broken.message.starts_with("the file is neither JSON nor YAML: "), "{broken}");
        assert_eq!(read_text_of("").unwrap_err().message, "the file holds no webhook");
    }
}
