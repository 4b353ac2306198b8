//! The one place where tests wait for something.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(25);

/// What a look came to.
#[derive(Debug)]
pub(crate) enum Looking<T> {
    /// It is so.
    Found(T),
    /// It is not so yet; the text tells how far it has come.
    NotYet(String),
}

impl<T> Looking<T> {
    /// Found if there is a value.
    pub(crate) fn from_option(value: Option<T>) -> Self {
        value.map_or_else(|| Self::NotYet(String::new()), Self::Found)
    }
}

impl Looking<()> {
    /// Found if `is_so`.
    pub(crate) fn when(is_so: bool, so_far: impl FnOnce() -> String) -> Self {
        if is_so { Self::Found(()) } else { Self::NotYet(so_far()) }
    }
}

/// Looks until a condition holds, `cap` at most.
///
/// # Errors
/// The time was up, or a look failed.
pub(crate) async fn wait_until<T>(
    what: &str,
    cap: Duration,
    mut look: impl AsyncFnMut() -> Result<Looking<T>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        let so_far = match look().await? {
            Looking::Found(value) => return Ok(value),
            Looking::NotYet(so_far) => so_far,
        };
        if began.elapsed() > cap {
            bail!("waited {cap:?} in vain for {what}; so far: {so_far}");
        }
        tokio::time::sleep(EVERY).await;
    }
}
