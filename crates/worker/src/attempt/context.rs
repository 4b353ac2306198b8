//! What every attempt of a process shares.

use postrider_http_client::Client;
use postrider_telemetry::Metrics;

use crate::WorkerConfig;
use crate::app_tokens::AppTokens;
use crate::cache::Cache;
use crate::credentials::Book;
use crate::trouble::Troubles;

/// What every attempt of a process shares.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: WorkerConfig,
    pub(crate) cache: Cache,
    pub(crate) tokens: AppTokens,
    pub(crate) client: Client,
    pub(crate) metrics: Metrics,
    pub(crate) troubles: Troubles,
    pub(crate) credentials: Book,
}
