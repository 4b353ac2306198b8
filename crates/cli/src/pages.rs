//! Lists that come in pages.

use clap::Args;
use postrider_api::{NextPage, Page};
use serde::de::DeserializeOwned;

use super::Api;
use crate::Failure;

/// The largest page that the API gives.
const PAGE: u32 = 1000;

/// Pages without a row that are followed in a row: each tells that the server looked at some
/// twenty thousand and found none.
const EMPTY_MOST: u32 = 50;

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct LimitArgs {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

impl LimitArgs {
    /// Leaves so many; how many there were.
    pub(crate) fn cut<T>(&self, rows: &mut Vec<T>) -> usize {
        let all = rows.len();
        rows.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        all
    }
}

/// How much of a list, and from where.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageArgs {
    #[command(flatten)]
    most: LimitArgs,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    cursor: Option<String>,
}

/// Reads what was asked for, as [`read`].
pub(crate) async fn read_page<P: Page + DeserializeOwned>(
    api: &Api,
    list: &str,
    filter: &[(&'static str, String)],
    page: &PageArgs,
) -> Result<(Vec<P::Row>, NextPage), Failure> {
    follow::<P>(api, list, filter, NextPage(page.cursor.clone()), page.most.limit).await
}

/// Follows the pages of `/api/v1/{list}` from the beginning until there are `limit` rows, no more,
/// or none for long; what comes second tells then where to go on.
pub(crate) async fn read<P: Page + DeserializeOwned>(
    api: &Api,
    list: &str,
    filter: &[(&'static str, String)],
    limit: u32,
) -> Result<(Vec<P::Row>, NextPage), Failure> {
    follow::<P>(api, list, filter, NextPage(None), limit).await
}

/// All rows of a short list.
pub(crate) async fn read_all<P: Page + DeserializeOwned>(
    api: &Api,
    list: &str,
) -> Result<Vec<P::Row>, Failure> {
    Ok(read::<P>(api, list, &[], u32::MAX).await?.0)
}

async fn follow<P: Page + DeserializeOwned>(
    api: &Api,
    list: &str,
    filter: &[(&'static str, String)],
    mut next: NextPage,
    limit: u32,
) -> Result<(Vec<P::Row>, NextPage), Failure> {
    let mut all = Vec::new();
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
