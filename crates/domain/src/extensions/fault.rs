//! A fault of the document.

/// What is wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionFault {
    /// The key, dotted, from `postrider` on.
    pub key: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}
