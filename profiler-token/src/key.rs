//! The key that daemon and service share, and where it comes from.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::hex;

/// Length of a key.
pub const KEY_BYTES: usize = 32;
/// The environment variable with the key itself, as [`key_text`] writes it.
pub const KEY_VARIABLE: &str = "PROFILER_PROFILE_KEY";
/// The environment variable with the path of a file that holds the key.
pub const KEY_FILE_VARIABLE: &str = "PROFILER_PROFILE_KEY_FILE";
/// A key file is 64 digits and a line end. More is another file.
const MAX_FILE: u64 = 1024;

/// A key, ready to sign and to check.
#[derive(Clone)]
pub struct Key(pub(crate) Hmac<Sha256>);

/// Why there is no key.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not 64 hexadecimal digits. It is not repeated: it may be a key with a slip.
    NotAKey {
        /// Where it stood.
        place: String,
    },
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two places name a key, and nothing tells which one is meant.
    Two,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKey { place } => write!(f, "{place} is not a key for profile tokens: 64 hexadecimal digits"),
            Self::Unreadable { path, .. } => write!(f, "cannot read the key for profile tokens in {}", path.display()),
            Self::Two => write!(f, "{KEY_VARIABLE} and {KEY_FILE_VARIABLE} are both set: keep one"),
        }
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::NotAKey { .. } | Self::Two => None,
        }
    }
}

impl Key {
    /// A key of these bytes, which should come from the system's source of randomness.
    #[must_use]
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        // As `new_from_slice`, which takes any length, but it cannot fail. HMAC pads a key to a block with zeros (RFC 2104).
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(Hmac::new(&block))
    }

    /// Reads what [`key_text`] wrote: 64 hexadecimal digits of either case; white space around them does not matter.
    pub fn from_text(text: &[u8]) -> Result<Self, KeyError> {
        Self::of_text(text, "the text")
    }

    /// Reads a file that holds such a text.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
        let mut text = Vec::new();
        File::open(path).map_err(unreadable)?.take(MAX_FILE).read_to_end(&mut text).map_err(unreadable)?;
        Self::of_text(&text, &format!("the content of {}", path.display()))
    }

    /// The key that the environment names: [`KEY_VARIABLE`] holds it, or [`KEY_FILE_VARIABLE`] names the file that does. `None` where
    /// neither is set, or is empty.
    pub fn from_env() -> Result<Option<Self>, KeyError> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self::named(variable(KEY_VARIABLE), variable(KEY_FILE_VARIABLE))
    }

    fn named(text: Option<OsString>, file: Option<OsString>) -> Result<Option<Self>, KeyError> {
        match (text, file) {
            (Some(_), Some(_)) => Err(KeyError::Two),
            (Some(text), None) => {
                Self::of_text(text.as_encoded_bytes(), &format!("the environment variable {KEY_VARIABLE}")).map(Some)
            }
            (None, Some(file)) => Self::from_file(Path::new(&file)).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn of_text(text: &[u8], place: &str) -> Result<Self, KeyError> {
        let bytes = hex::bytes(text.trim_ascii()).ok_or_else(|| KeyError::NotAKey { place: place.to_owned() })?;
        Ok(Self::new(&bytes))
    }
}

/// Never shows the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// A key as it is written into a file or a variable.
#[must_use]
pub fn key_text(bytes: &[u8; KEY_BYTES]) -> String {
    hex::text(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; KEY_BYTES] = [0xa5; KEY_BYTES];

    fn same(one: &Key, other: &Key) -> bool {
        one.token(9, [1; 8]) == other.token(9, [1; 8])
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = Key::new(&BYTES);
        for text in [key_text(&BYTES), format!(" {}\r\n", key_text(&BYTES).to_uppercase())] {
            assert!(same(&Key::from_text(text.as_bytes()).unwrap(), &key), "{text:?}");
        }
        for wrong in
            ["", "a5", &"a5".repeat(31), &"a5".repeat(33), &"g5".repeat(32), &format!("{} {}", "a5".repeat(16), "a5".repeat(16))]
        {
            assert!(matches!(Key::from_text(wrong.as_bytes()), Err(KeyError::NotAKey { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_file_or_a_variable_and_not_both() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, key_text(&BYTES) + "\n").unwrap();
        let file = || Some(path.clone().into_os_string());
        let text = || Some(OsString::from(key_text(&BYTES)));
        let key = Key::new(&BYTES);
        assert!(same(&Key::named(None, file()).unwrap().unwrap(), &key));
        assert!(same(&Key::named(text(), None).unwrap().unwrap(), &key));
        assert!(Key::named(None, None).unwrap().is_none());
        assert!(matches!(Key::named(text(), file()), Err(KeyError::Two)));
        let error = Key::named(None, Some(folder.path().join("none").into_os_string())).unwrap_err();
        assert!(matches!(&error, KeyError::Unreadable { path, .. } if path.ends_with("none")), "{error}");
    }

    #[test]
    fn no_error_and_no_debug_repeats_a_key() {
        let secret = "5".repeat(63);
        let error = Key::named(Some(OsString::from(&secret)), None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret));
        assert!(!format!("{:?}", Key::new(&BYTES)).contains("a5"));
    }
}
