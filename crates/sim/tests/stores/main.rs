//! The model against the databases: it passes the cases that they pass, and random sequences of
//! steps give the same answers and leave the same rows in Postgres, in SQLite and in the model.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod cases;
mod made;
mod pairs;
mod place;
mod scene;
mod sequences;
mod side;
mod step;
