//! The name of a request: 1 to 64 bytes, chosen by the application.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// The longest request id, in bytes. A UUID takes 36, a W3C trace id 32.
pub const MAX_REQUEST_ID_LEN: usize = 64;

/// The name of a request: 1 to [`MAX_REQUEST_ID_LEN`] bytes.
///
/// It is what the user types to ask for one request (`profiler-daemon record --request order-42`), so a readable text is
/// the best choice; any bytes are taken, though, since ids often come from outside and are not the application's to refuse.
///
/// | from | by |
/// | --- | --- |
/// | a literal | [`request_id!`](crate::request_id), checked at compile time |
/// | `&str`, `String`, `&[u8]` | `RequestId::try_from`, `str::parse`: refuses 0 and more than 64 bytes |
/// | `u32`, `u64`, `u128` | `RequestId::from`: the decimal digits |
///
/// ```
/// use profiler_annotate::RequestId;
///
/// let id = RequestId::try_from("order-42")?;
/// assert_eq!(id.as_bytes(), b"order-42");
/// assert_eq!(RequestId::from(42_u64).to_string(), "42");
///
/// let refused = RequestId::try_from("").unwrap_err();
/// assert_eq!(refused.to_string(), "a request id has 1 to 64 bytes, this one is empty");
/// # Ok::<(), profiler_annotate::InvalidRequestId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// 1 to 64.
    len: u8,
    /// The id, then zeros: equality and hash may then compare whole arrays.
    bytes: [u8; MAX_REQUEST_ID_LEN],
}

impl RequestId {
    /// Takes the bytes as they are. [`InvalidRequestId`] for 0 and for more than 64 bytes.
    pub const fn new(id: &[u8]) -> Result<Self, InvalidRequestId> {
        if id.is_empty() {
            return Err(InvalidRequestId::Empty);
        }
        if id.len() > MAX_REQUEST_ID_LEN {
            return Err(InvalidRequestId::TooLong { len: id.len() });
        }
        let mut bytes = [0; MAX_REQUEST_ID_LEN];
        let (head, _) = bytes.split_at_mut(id.len());
        head.copy_from_slice(id);
        #[expect(clippy::cast_possible_truncation, reason = "checked above: at most 64")]
        let len = id.len() as u8;
        Ok(Self { len, bytes })
    }

    /// For [`request_id!`](crate::request_id), which calls it at compile time only.
    #[doc(hidden)]
    #[must_use]
    #[expect(clippy::panic, reason = "evaluated by the compiler: the panic is its error message")]
    pub const fn from_literal(id: &str) -> Self {
        match Self::new(id.as_bytes()) {
            Ok(id) => id,
            Err(InvalidRequestId::Empty) => {
                panic!("a request id has 1 to 64 bytes, this one is empty")
            }
            Err(InvalidRequestId::TooLong { .. }) => {
                panic!("a request id has at most 64 bytes, this one has more")
            }
        }
    }

    /// The id as it was given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// The id as text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(self.as_bytes()).ok()
    }

    /// The length, as it stands in the record.
    pub(crate) fn len_byte(&self) -> u8 {
        self.len
    }

    /// The id, padded with zeros, as it stands in the record.
    pub(crate) fn padded(&self) -> &[u8; MAX_REQUEST_ID_LEN] {
        &self.bytes
    }

    /// Back from a record that was made from an id.
    pub(crate) fn from_record(len: u8, bytes: [u8; MAX_REQUEST_ID_LEN]) -> Self {
        Self { len, bytes }
    }

    /// What a format writes. The callers' formats write at least one byte and at most 64.
    pub(crate) fn formatted(args: fmt::Arguments<'_>) -> Self {
        let mut text = Text(Self { len: 0, bytes: [0; MAX_REQUEST_ID_LEN] });
        // A longer text would be cut and reported as an error: no caller has one.
        let _ = text.write_fmt(args);
        text.0
    }
}

/// An id in the making. Apart from [`RequestId`], which nobody may write to once it is made.
struct Text(RequestId);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0.bytes.get_mut(usize::from(self.0.len)).ok_or(fmt::Error)? = byte;
            self.0.len += 1;
        }
        Ok(())
    }
}

/// Why some bytes cannot be a [`RequestId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidRequestId {
    /// No bytes at all.
    Empty,
    /// More than [`MAX_REQUEST_ID_LEN`] bytes.
    TooLong {
        /// How many there were.
        len: usize,
    },
}

impl fmt::Display for InvalidRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a request id has 1 to {MAX_REQUEST_ID_LEN} bytes, ")?;
        match self {
            Self::Empty => f.write_str("this one is empty"),
            Self::TooLong { len } => write!(f, "this one has {len}"),
        }
    }
}

impl Error for InvalidRequestId {}

/// The id as profiler-daemon writes it in all its outputs, and takes it on its command line: printable text as it is; of anything else
/// each byte as `\xff`, and a backslash as `\\`. An id may come from anyone and end in a log: this is one harmless line, and no two
/// ids read the same.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_str().is_some_and(|text| !text.contains(|character| character == '\\' || is_hidden(character))) {
            return f.pad(self.as_str().unwrap_or_default());
        }
        for chunk in self.as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' => f.write_str(r"\\")?,
                    _ if is_hidden(character) => spell(f, character.encode_utf8(&mut [0; 4]).as_bytes())?,
                    _ => f.write_char(character)?,
                }
            }
            spell(f, chunk.invalid())?;
        }
        Ok(())
    }
}

fn spell(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, r"\x{byte:02x}"))
}

/// Whether a character shows nothing, moves the cursor or reorders its neighbours. The same list as profiler-daemon's
/// (`src/text.rs`), which tells where it is from; a test holds them together.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId(\"{self}\")")
    }
}

impl TryFrom<&[u8]> for RequestId {
    type Error = InvalidRequestId;

    fn try_from(id: &[u8]) -> Result<Self, InvalidRequestId> {
        Self::new(id)
    }
}

impl TryFrom<&str> for RequestId {
    type Error = InvalidRequestId;

    fn try_from(id: &str) -> Result<Self, InvalidRequestId> {
        Self::new(id.as_bytes())
    }
}

impl TryFrom<&String> for RequestId {
    type Error = InvalidRequestId;

    fn try_from(id: &String) -> Result<Self, InvalidRequestId> {
        Self::new(id.as_bytes())
    }
}

impl TryFrom<String> for RequestId {
    type Error = InvalidRequestId;

    fn try_from(id: String) -> Result<Self, InvalidRequestId> {
        Self::new(id.as_bytes())
    }
}

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(id: &str) -> Result<Self, InvalidRequestId> {
        Self::new(id.as_bytes())
    }
}

impl From<u32> for RequestId {
    fn from(id: u32) -> Self {
        Self::formatted(format_args!("{id}"))
    }
}

impl From<u64> for RequestId {
    fn from(id: u64) -> Self {
        Self::formatted(format_args!("{id}"))
    }
}

impl From<u128> for RequestId {
    fn from(id: u128) -> Self {
        Self::formatted(format_args!("{id}"))
    }
}

/// So that what [`current_request_id`](crate::current_request_id) gave can be handed on without a copy at the call.
impl From<&RequestId> for RequestId {
    fn from(id: &RequestId) -> Self {
        *id
    }
}

/// A [`RequestId`] from a literal or constant, checked while compiling.
///
/// ```
/// # async fn warm_the_cache() {}
/// # drop(
/// profiler_annotate::scope(profiler_annotate::request_id!("cache-warmer"), warm_the_cache())
/// # );
/// ```
///
/// ```compile_fail
/// profiler_annotate::request_id!("");
/// ```
#[macro_export]
macro_rules! request_id {
    ($id:expr) => {
        const { $crate::RequestId::from_literal($id) }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_to_sixty_four_bytes() {
        assert_eq!(RequestId::try_from(""), Err(InvalidRequestId::Empty));
        assert_eq!(RequestId::try_from("x").unwrap().as_bytes(), b"x");
        let longest = "y".repeat(64);
        assert_eq!(RequestId::try_from(&longest).unwrap().as_str(), Some(longest.as_str()));
        let too_long = RequestId::try_from("z".repeat(65)).unwrap_err();
        assert_eq!(too_long, InvalidRequestId::TooLong { len: 65 });
        assert_eq!(too_long.to_string(), "a request id has 1 to 64 bytes, this one has 65");
    }

    #[test]
    fn numbers_are_their_digits() {
        assert_eq!(RequestId::from(0_u32).as_str(), Some("0"));
        assert_eq!(RequestId::from(u64::MAX).as_str(), Some("18446744073709551615"));
        assert_eq!(RequestId::from(u128::MAX).as_str(), Some("340282366920938463463374607431768211455"));
    }

    #[test]
    fn untrusted_bytes_are_escaped_when_shown() {
        let id = RequestId::try_from(&b"\xc3\xa9\x1b[31m\xff"[..]).unwrap();
        assert_eq!(id.as_str(), None);
        assert_eq!(id.to_string(), r"é\x1b[31m\xff");
        assert_eq!(RequestId::try_from("a\n\\\u{202e}b").unwrap().to_string(), r"a\x0a\\\xe2\x80\xaeb");
        assert_eq!(format!("{id:?}"), format!("RequestId(\"{id}\")"));
        assert_eq!(format!("{:>6}|", RequestId::from(42_u32)), "    42|");
    }

    #[test]
    fn a_prefix_is_another_id() {
        assert_ne!(RequestId::try_from("a").unwrap(), RequestId::try_from("a\0").unwrap());
    }

    #[test]
    fn a_literal_is_checked_while_compiling() {
        assert_eq!(crate::request_id!("order-42"), RequestId::try_from("order-42").unwrap());
    }
}
