//! Sealing at rest: AES-256-GCM-SIV under the master key, with the name of what is sealed and
//! the key id as associated data, so that a value can't be moved to another name.

use secrecy::SecretString;

/// 32 bytes that seal everything secret at rest.
#[derive(Clone)]
pub struct MasterKey(/* SecretBox<[u8; 32]> */);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

impl MasterKey {
    /// Reads base64 of 32 bytes; the error names the fix and never the value.
    pub fn from_base64(_text: &SecretString) -> Result<Self, String> {
        todo!()
    }
    /// A new random key.
    pub fn generate() -> Self {
        todo!()
    }
    /// Base64 of the key, for the key file.
    pub fn to_base64(&self) -> SecretString {
        todo!()
    }
    /// Eight hex digits that name the key without telling it.
    pub fn id(&self) -> String {
        todo!()
    }
    /// Eight hex digits of a keyed hash, to name inline credentials in lane names
    /// (`basic-<8 hex>`, `inline-<8 hex>`) without telling them.
    pub fn short_hash(&self, _credential: &str) -> String {
        todo!()
    }
}
