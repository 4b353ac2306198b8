//! What every delivery goes through, native to each database: intake, claims, records, the
//! janitor, leases.

pub(crate) mod postgres;
pub(crate) mod sqlite;
