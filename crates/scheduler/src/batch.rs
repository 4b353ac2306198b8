//! Names of steps.

/// Names a step; the event that answers it says which. Grows with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Batch(pub(super) u64);

#[cfg(any(test, feature = "testing"))]
impl Batch {
    /// One that no scheduler named.
    pub fn of_test(number: u64) -> Self {
        Self(number)
    }
}
