//! Query strings, form-decoded.

use percent_encoding::percent_decode_str;

use crate::problem::Problem;

/// Names and values in their order.
///
/// # Errors
/// 400 for what is no UTF-8, and for U+0000.
pub fn pairs(query: &str) -> impl Iterator<Item = Result<(String, String), Problem>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(name)?, decoded(value)?))
    })
}

fn decoded(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let text = decoded.map_err(|_| Problem::bad("", "the query is not valid UTF-8"))?.into_owned();
    if text.contains('\0') {
        return Err(Problem::bad("", "the query holds the character U+0000: remove it"));
    }
    Ok(text)
}
