//! Lists that come in pages.

use postrider_api::{NextPage, Page};
use serde::de::DeserializeOwned;

use super::Api;
use crate::Failure;

/// The largest page that the API gives.
const PAGE: u32 = 1000;

/// Pages without a row that are followed in a row: each tells that the server looked at some
/// twenty thousand and found none.
const EMPTY_MOST: u32 = 50;

/// [`read_from`] the beginning.
pub(super) async fn read<P: Page + DeserializeOwned>(
    api: &Api,
    list: &str,
    filter: &[(&'static str, String)],
    limit: u32,
) -> Result<(Vec<P::Row>, NextPage), Failure> {
    read_from::<P>(api, list, filter, None, limit).await
}

/// Follows the pages of `/api/v1/{list}` behind `cursor` until there are `limit` rows, no more, or none for long;
/// what comes second tells then where to go on.
pub(super) async fn read_from<P: Page + DeserializeOwned>(
    api: &Api,
    list: &str,
    filter: &[(&'static str, String)],
    cursor: Option<String>,
    limit: u32,
) -> Result<(Vec<P::Row>, NextPage), Failure> {
    let mut all = Vec::new();
    let mut next = NextPage(cursor);
    let mut left = limit;
    let mut empty = 0;
    loop {
        let mut query = filter.to_vec();
        query.push(("limit", left.min(PAGE).to_string()));
        query.extend(next.0.take().map(|cursor| ("cursor", cursor)));
        let page: P = api.get(&["api", "v1", list], &query).await?;
        let (rows, after) = page.into_parts();
        left = left.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        empty = if rows.is_empty() { empty + 1 } else { 0 };
        all.extend(rows);
        next = after;
        if empty == EMPTY_MOST || left == 0 || next.0.is_none() {
            return Ok((all, next));
        }
    }
}
