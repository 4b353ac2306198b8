//! Webhook documents from a file or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use serde_norway::Deserializer;

use crate::Failure;

/// A larger file is a mistake.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// YAML is read as such, and JSON is YAML.
pub(super) fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let text = read_text(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let mut documents = Vec::new();
    for document in Deserializer::from_str(&text) {
        let value = json(document).map_err(|error| {
            Failure::usage(format!("the file is neither JSON nor YAML: {error}"))
                .fix("write one webhook document or a list of them")
        })?;
        match value {
            Value::Array(items) => documents.extend(items),
            Value::Null => {}
            one => documents.push(one),
        }
    }
    if documents.is_empty() {
        return Err(Failure::usage("the file holds no webhook"));
    }
    Ok(documents)
}

/// The document with its merge keys (`<<: *anchor`) resolved.
fn json(document: Deserializer<'_>) -> Result<Value, serde_norway::Error> {
    let mut yaml = serde_norway::Value::deserialize(document)?;
    yaml.apply_merge()?;
    serde_norway::from_value(yaml)
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
    fn merge_keys_are_resolved_and_marks_skipped() {
        let text = "\u{feff}- &base {enabled: true, request: {method: POST}}\n\
                    - {<<: *base, description: second, enabled: false}\n";
        let read = read_text_of(text).unwrap();
        let second = serde_json::json!(
            {"description": "second", "enabled": false, "request": {"method": "POST"}}
        );
        assert_eq!(read[1], second);
        assert!(read_text_of("- {<<: 1, a: 2}\n").is_err());
    }
}
