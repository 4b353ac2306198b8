//! Lists that come in pages.

use serde_json::{Value, json};

use super::Api;
use crate::cli::Failure;

/// The largest page that the API gives.
const PAGE: u32 = 1000;

/// Follows the pages of `/api/v1/{list}` until there are `limit` rows or no more.
pub(super) async fn read(
    api: &Api,
    list: &str,
    filter: &[(&'static str, String)],
    limit: u32,
) -> Result<Value, Failure> {
    let mut all: Vec<Value> = Vec::new();
    let mut next: Option<String> = None;
    let mut left = limit;
    loop {
        let mut query = filter.to_vec();
        query.push(("limit", left.min(PAGE).to_string()));
        query.extend(next.take().map(|cursor| ("cursor", cursor)));
        let answer = api.get(&["api", "v1", list], &query).await?;
        let rows = rows(&answer, list);
        left = left.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let empty = rows.is_empty();
        all.extend(rows);
        next = answer.get("next").and_then(Value::as_str).map(str::to_owned);
        if empty || left == 0 || next.is_none() {
            return Ok(json!({ list: all, "next": next }));
        }
    }
}

/// The rows under `key`.
pub(super) fn rows(answer: &Value, key: &str) -> Vec<Value> {
    answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
}
