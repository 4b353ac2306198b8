//! Candidates that one statement looks at, and those among them that a filter names.

use uuid::Uuid;

use super::access_path::Order;
use super::query::Query;
use super::row::Row;
use crate::fault::Fault;

/// What a statement found among its candidates.
pub(crate) struct Looked<T> {
    /// How many candidates it looked at.
    pub(crate) seen: u64,
    /// The last of them in the order of the list; `None` without any.
    pub(crate) last: Option<Uuid>,
    /// Those that the filter names.
    pub(crate) found: Vec<T>,
}

impl<T> Looked<T> {
    /// Appends the end of a statement that has candidates `k` and those that are named `m`.
    pub(crate) fn end(query: &mut Query, order: Order) {
        query.push(" select (select count(*) from k) as seen, (select k.id from k order by k.id ");
        query.push(order.last_first()).push(
            " limit 1) as last, m.*
              from (select 1 as one) o left join m on true",
        );
    }

    /// Reads the rows of such a statement, those that are named by `read`.
    pub(crate) fn of(rows: &[Row], read: impl Fn(&Row) -> Result<T, Fault>) -> Result<Self, Fault> {
        let mut looked = Self { seen: 0, last: None, found: Vec::with_capacity(rows.len()) };
        for row in rows {
            looked.seen = row.tally("seen")?;
            looked.last = row.uuid_opt("last")?;
            if row.uuid_opt("id")?.is_some() {
                looked.found.push(read(row)?);
            }
        }
        Ok(looked)
    }
}
