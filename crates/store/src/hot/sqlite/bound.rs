//! Batches as bound values: as JSON each value would be written and parsed once more.

use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

/// Rows of one statement at most.
pub(super) const CHUNK: usize = 128;

/// The list in parts of 128, 64, 32, … rows, so that a handful of statements, each prepared
/// once, serves batches of any size.
pub(super) fn chunks<T>(all: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = all;
    std::iter::from_fn(move || {
        let largest = rest.len().min(CHUNK).checked_ilog2()?;
        let (chunk, behind) = rest.split_at_checked(1 << largest)?;
        rest = behind;
        Some(chunk)
    })
}

/// Appends `(?, ?, …)` with the ids, for an `IN`. The last one stands several times, so that
/// lists of any length up to [`CHUNK`] share eight statements.
pub(super) fn push_ids(query: &mut QueryBuilder<Sqlite>, ids: &[Uuid]) {
    let padding = ids.last().map(|last| vec![*last; ids.len().next_power_of_two() - ids.len()]);
    query.push("(");
    let mut list = query.separated(", ");
    for id in ids.iter().chain(padding.iter().flatten()) {
        list.push_bind(*id);
    }
    query.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_few_sizes_and_lose_nothing() {
        let all: Vec<usize> = (0..1_000).collect();
        for length in [0, 1, 2, 3, 127, 128, 129, 200, 1_000] {
            let parts: Vec<&[usize]> = chunks(&all[..length]).collect();
            assert!(parts.iter().all(|part| part.len().is_power_of_two() && part.len() <= CHUNK));
            assert_eq!(parts.concat(), all[..length]);
        }
    }

    #[test]
    fn lists_of_ids_have_few_lengths() {
        let text = |length: usize| {
            let mut query = QueryBuilder::new("");
            push_ids(&mut query, &vec![Uuid::nil(); length]);
            query.sql().as_str().matches('?').count()
        };
        assert_eq!([0, 1, 3, 5, 127, 128].map(text), [0, 1, 4, 8, 128, 128]);
    }
}
