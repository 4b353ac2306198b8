//! The commands as a shell sees them: exit codes, standard output, standard error. A small
//! server plays the operations API; the real one is driven by the whole-system tests.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod deliveries;
mod events;
mod lanes;
mod server;
mod settings;
mod trouble;
mod webhooks;
