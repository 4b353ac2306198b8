//! A stand-in for GitHub on loopback: it plays GitHub's answers as they were recorded or
//! documented, enforces GitHub's checks and limits, does what a script tells it, and keeps a
//! journal of everything that reached it.
//!
//! It is the receiver of the demo, of the tests and of the benchmark. What it answers comes from
//! `responses/*.json` (each file names its source); what a dispatch must look like is also there
//! as GitHub's own schema, [`REPOSITORY_DISPATCH_SCHEMA`].

mod answers;
mod app;
mod checks;
mod connection;
mod control;
mod decide;
mod double;
mod journal;
mod options;
mod play;
mod recorded;
mod reply;
mod request;
mod route;
mod tokens;
mod window;

pub use app::{App, AppKeys};
pub use double::{Double, NotReached};
pub use journal::{Counts, Ending, Entry, Kind, TokenSeen};
pub use options::{LimitStyle, Options, Window};
pub use play::{Play, ScriptError};
pub use recorded::{Recording, recorded, recordings};

/// GitHub's own JSON schema of the request body of `POST /repos/{owner}/{repo}/dispatches`, from
/// its `OpenAPI` description (npm package `@octokit/openapi` 23.0.2, MIT; notice in
/// `schema/LICENSE`).
pub const REPOSITORY_DISPATCH_SCHEMA: &str = include_str!("../schema/repository-dispatch.json");
