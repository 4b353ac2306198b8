//! Webhook documents from a file or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::cli::Failure;

/// A larger file is a mistake.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// YAML is read as such, and JSON is YAML.
pub(super) fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let text = read_text(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let mut documents = Vec::new();
    for document in serde_norway::Deserializer::from_str(&text) {
        let value = Value::deserialize(document).map_err(|error| {
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

fn read_text(path: &Path) -> io::Result<String> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    source.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}
