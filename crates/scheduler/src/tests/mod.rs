//! The scheduler against a small store, targets that behave as they are told, and a clock that
//! only moves when something happens.

mod fairness;
mod lanes;
mod limits;
mod offers;
mod random;
mod steps;
mod stopping;
mod world;
