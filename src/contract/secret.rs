//! The messages that hold a key in the clear: their `Debug` and their end.
//!
//! Invariants: `Debug` never prints a key; prost ignores `debug_redact`, so `build.rs` skips its own `Debug` for these
//! messages. A credential is wiped when it is dropped.
//!
//! Not here: the transport's copy of an encoded message, which cannot be wiped.

use std::fmt;

use zeroize::Zeroize as _;

use super::v1;

impl Drop for v1::Credential {
    fn drop(&mut self) {
        self.api_key.zeroize();
    }
}

impl fmt::Debug for v1::Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential { api_key: [redacted] }")
    }
}

impl fmt::Debug for v1::SetKeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetKeyRequest")
            .field("workspace_id", &self.workspace_id)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::SetPlatformKeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPlatformKeyRequest")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}
