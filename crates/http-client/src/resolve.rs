//! Names to addresses, by the system's resolver.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::reply::Trouble;
use crate::resolver_health::ResolverHealth;

/// Looks a name up; the system's resolver but in tests.
pub(crate) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, Found> + Send + Sync>;

/// What a lookup comes to.
pub(crate) type Found = Result<Arc<[IpAddr]>, Arc<io::Error>>;

type Pending = Shared<BoxFuture<'static, Found>>;

/// What the C library says when the resolver did answer: there is no such name, or it has no
/// addresses. The codes behind these texts don't get through the standard library.
const DEFINITE: [&str; 3] =
    ["Name or service not known", "No address associated with hostname", "Name does not resolve"];

/// A name has no addresses now.
#[derive(Debug)]
pub(crate) enum NotResolved {
    Local(Trouble),
    Failed(String),
    /// Not within the time given.
    TimedOut,
}

/// Asks for each name once at a time, whoever wants it: the system's resolver blocks a thread,
/// which a caller that no longer waits does not give back.
pub(crate) struct Resolver {
    lookup: Lookup,
    tasks: TaskTracker,
    pending: Arc<Mutex<HashMap<String, Pending>>>,
    health: Mutex<ResolverHealth>,
}

impl Resolver {
    pub(crate) fn new(lookup: Lookup, tasks: TaskTracker) -> Self {
        Self { lookup, tasks, pending: Arc::default(), health: Mutex::default() }
    }

    pub(crate) async fn resolve(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Arc<[IpAddr]>, NotResolved> {
        let found = timeout_at(deadline, self.begin(name)).await;
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let failure = match found {
            Ok(Ok(addresses)) => {
                health.answered(now);
                return Ok(addresses);
            }
            Ok(Err(error)) => {
                if let Some(trouble) = Trouble::of_lookup(&error) {
                    return Err(NotResolved::Local(trouble));
                }
                let text = error.to_string();
                if DEFINITE.iter().any(|definite| text.contains(definite)) {
                    health.answered(now);
                } else {
                    health.failed(name, now);
                }
                NotResolved::Failed(format!("{name} can't be resolved: {text}"))
            }
            Err(_) => {
                health.failed(name, now);
                NotResolved::TimedOut
            }
        };
        if health.is_down(now) { Err(NotResolved::Local(Trouble::Resolver)) } else { Err(failure) }
    }

    /// Joins the lookup under way, or begins one that ends also when nobody waits any more.
    fn begin(&self, name: &str) -> Pending {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = pending.get(name) {
            return lookup.clone();
        }
        let lookup = (self.lookup)(name.to_owned());
        let (all, key) = (Arc::clone(&self.pending), name.to_owned());
        let task = self.tasks.spawn(async move {
            let found = lookup.await;
            all.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            found
        });
        let ended = async move { task.await.unwrap_or_else(|error| Err(Arc::new(error.into()))) };
        let lookup = ended.boxed().shared();
        pending.insert(name.to_owned(), lookup.clone());
        lookup
    }
}

/// The system's resolver: hosts file, DNS, whatever the machine is set up for.
pub(crate) fn system() -> Lookup {
    Arc::new(|name: String| {
        let lookup = async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Arc::new)?;
            Ok(found.map(|address| address.ip()).collect())
        };
        lookup.boxed()
    })
}
