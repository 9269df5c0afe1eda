//! The token by which one HTTP request asks to be profiled: its form, its making and its judging.
//!
//! A crate of its own because two programs must agree on every byte: `profiler-daemon` makes tokens, and the service, through
//! `profiler-annotate`, judges them. Both run this code; the vectors in [`mod@token`] hold versions of it together.
//!
//! # Form
//!
//! ```text
//! x-profile: v1.1795730400.00112233445566aa.4f0c…
//!            |  |          |                |
//!            |  |          |                HMAC-SHA256 of what says what it is for and all that stands before, 64 digits
//!            |  |          nonce, 16 digits
//!            |  first second of the Unix epoch in which it is good no more, decimal
//!            version
//! ```
//!
//! Digits are hexadecimal, in lower case. At most [`MAX_LEN`] bytes.
//!
//! # Rules
//!
//! * A token is good for any number of requests until it expires. Whoever sees one can have requests profiled that long, and nothing
//!   else; in return a service remembers nothing. The nonce only tells tokens apart, in logs.
//! * Whether a token is well formed can be told without the key. Of a well-formed one the signature is always computed and compared in
//!   constant time, before anybody looks at its expiry: how long judging takes tells nothing about the key.
//! * Both clocks are the wall clock. A service whose clock is behind lets tokens live longer by as much.

mod hex;
mod key;
mod token;

pub use key::{KEY_BYTES, KEY_FILE_VARIABLE, KEY_VARIABLE, Key, KeyError, key_text};
pub use token::{HEADER, MAX_LEN, NONCE_BYTES, Verdict, unix_seconds};
