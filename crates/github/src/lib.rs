//! GitHub: reading its answers, checking its credentials without asking it, probing, and what
//! tokens of a GitHub App are asked for.
//!
//! Facts only: what an answer says becomes a [`postrider_domain::GithubAnswer`]; what follows
//! from it is decided in the domain crate.

mod access;
mod app;
mod credential;
mod headers;
mod message;
mod probe;
mod read;
mod run;
mod runs;

pub use access::{TokenFacts, read_repository, read_user, token_facts, user_url};
pub use app::{
    AppToken, Denied, Installed, Permission, Scope, TokenState, read_installation, read_token,
    repository, token_request, token_state,
};
pub use credential::{TokenCheck, TokenKind, TokenWarning, check_token};
pub use headers::{rate_remaining, request_id, token_expiry};
pub use probe::{ProbeReading, probe_url, read_probe};
pub use read::{answer, asks_too_long, is_answer_of_github, read};
pub use run::{Run, started_run};
pub use runs::{
    RUN_PAGES, RunsReading, read_run, read_runs, read_workflows, run_url, runs_url, workflows_url,
};
