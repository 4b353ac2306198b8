//! The version of all webhooks, which each of their writers raises first.

use super::Tx;
use super::query::Query;
use crate::fault::Fault;

/// VERSION_IN_COMMIT: what was matched before this must be matched again.
const BUMP: &str = "update meta set webhooks_version = webhooks_version + 1";

/// Makes whoever else writes webhooks wait for the end of this transaction.
pub(crate) async fn raise_version(tx: &mut Tx<'_>) -> Result<(), Fault> {
    tx.run(&Query::new(BUMP)).await.map(drop)
}
