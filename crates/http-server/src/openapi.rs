//! The OpenAPI document, made from what stands beside the handlers and from the types that they
//! read and write.
//!
//! An [`Operation`] says what is its call's own: what it is for, what it takes, what it answers
//! when all is well, refusals that no other call has. What is the same for all calls of a kind is
//! added by the [`Document`]: the role that a call needs, and the refusals that follow from its
//! having a path with names, parameters or a body.

mod document;
mod operation;
mod refusals;
mod schema;

pub use document::Document;
pub use operation::{Operation, Tag};
pub use schema::refer;
