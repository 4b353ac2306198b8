//! What a broker is owed: which provider versions count, which of them have no result for a
//! contract, and since when.
//!
//! This is the broker's own rule, told case by case by Pact Broker 2.120:
//! `contract_requiring_verification_published` is sent for a published content once for each
//! provider version that counts and has no result for that content. Everything that asks whether
//! a verification is missing asks it here, so that two answers can't differ.
//!
//! | word | means |
//! |---|---|
//! | counts | head of the provider's main branch (else the newest version tagged with its name), whatever is deployed in any environment, whatever is released and supported |
//! | result | any outcome for a content and a provider version, whoever asked for it |
//! | owes | counts, without those that have a result |
//! | failed | counts, and the newest result is a failure: never owed |
//! | line | what of a consumer is looked at: its main head, contents that are deployed or supported |
//! | ahead, blocking | a debt of main is ahead; one of a deployed or released version blocks |
//! | holds back | a deployed consumer's content that the provider's main head has no result for |
//!
//! | here | is decided |
//! |---|---|
//! | `standing.rs` | which versions count |
//! | `contract.rs` | what a contract owes, whether its broker told of it, what holds a head back |
//! | `since.rs` | since when a line has been owing without a break |
//! | `judged.rs` | the whole of a pair: debts, failures, its state |
//! | `fate.rs` | which debts become events |
//! | `again.rs` | which dispatches are made once more |
//! | `deployable.rs` | what stops a deployment |

mod again;
mod contract;
mod deployable;
mod fate;
mod judged;
mod role;
mod since;
mod standing;

pub use again::{AGAIN_MOST, Again, AgainBudget, Dispatched, again, gap};
pub use contract::{Contract, Debt, Due, FailedResult, HeldBack, VersionResult};
pub use deployable::{Deployable, Needed, deployable};
pub use fate::{Fate, Looked, Sight, fate};
pub use judged::{Judged, PairState, judge_pair};
pub use role::Role;
pub use since::{Owing, Past, Step};
pub use standing::{Counted, Head, Placed, Side, Standing};
