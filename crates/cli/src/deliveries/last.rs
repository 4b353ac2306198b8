//! What the last attempt came to, in a cell.

use postrider_domain::Outcome;

use crate::cell_of;

/// `server_error 503`, `timeout`, `-`.
pub(crate) fn last(outcome: Option<Outcome>, code: Option<u16>) -> String {
    let outcome = cell_of(outcome);
    code.map_or(outcome.clone(), |code| format!("{outcome} {code}"))
}
