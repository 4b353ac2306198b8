//! Who claims, leads a limit or is the active monitor.

use uuid::Uuid;

/// One worker process, new at each start (OWNER_NEW).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkerId(pub Uuid);
