//! The name an application gave a request: untrusted bytes.

use std::fmt;

use crate::text::{EscapeError, bytes, printable};

/// A request id as the target wrote it: 1 to 64 bytes, not necessarily UTF-8.
///
/// Comparison is by bytes. [`fmt::Display`] shows it as one line of printable text, safe on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Vec<u8>);

impl RequestId {
    /// Takes the bytes as they are.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The id that an output, or the command line, writes so.
    pub fn from_text(text: &str) -> Result<Self, EscapeError> {
        bytes(text.as_bytes()).map(Self)
    }

    /// The bytes as the target wrote them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes in lower-case hex.
    #[must_use]
    pub fn to_hex(&self) -> String {
        crate::text::hex(&self.0)
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.0))
    }
}
