//! Single values of the command line, each checked where it is read: request id, sampling rate, duration.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::{fmt, str::FromStr, time::Duration};

use clap::builder::{OsStringValueParser, TryMapValueParser, TypedValueParser as _, ValueParserFactory};
use thiserror::Error;

use crate::text::{EscapeError, bytes, printable};

/// Longest request id, in bytes: what the annotation's record holds.
pub const REQUEST_ID_MAX: usize = 64;
/// Highest sampling rate, in Hz: above it the samples themselves would be most of what is sampled.
pub const RATE_MAX: u32 = 4000;
/// Longest duration a flag takes: a week. More is a slip of the keyboard.
pub const DURATION_MAX: Duration = Duration::from_hours(7 * 24);

/// Why a value was refused, in one sentence.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ValueError {
    /// A request id of no bytes.
    #[error("a request id must not be empty")]
    EmptyRequestId,
    /// A request id longer than [`REQUEST_ID_MAX`].
    #[error("a request id has at most {REQUEST_ID_MAX} bytes, this one has {0}")]
    LongRequestId(usize),
    /// A backslash that stands for nothing.
    #[error(transparent)]
    Escape(#[from] EscapeError),
    /// A rate that is no number or out of range.
    #[error("the rate must be a whole number from 1 to {RATE_MAX} Hz")]
    Rate,
    /// A duration without a unit, or not a number and a unit.
    #[error("write a duration as a whole number and a unit: 500ms, 10s, 2m or 1h")]
    Duration,
    /// A duration of nothing.
    #[error("the duration must be longer than nothing")]
    ZeroDuration,
    /// What is no share.
    #[error("write the share as one in so many: 1/1000")]
    Share,
    /// What is no path of a static.
    #[error("write the key as a path: my_app::REQUEST_ID")]
    KeyPath,
    /// A duration above [`DURATION_MAX`].
    #[error("the duration must be at most 168h")]
    LongDuration,
}

/// A request id of 1 to 64 bytes, written as every output writes it: `\xff` for a byte, `\\` for a backslash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Vec<u8>);

impl RequestId {
    /// The id that is meant.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(text: &[u8]) -> Result<Self, ValueError> {
        Self::new(bytes(text)?)
    }

    /// An id that is not written in any form, as a header has it.
    pub fn new(id: Vec<u8>) -> Result<Self, ValueError> {
        match id.len() {
            0 => Err(ValueError::EmptyRequestId),
            1..=REQUEST_ID_MAX => Ok(Self(id)),
            long => Err(ValueError::LongRequestId(long)),
        }
    }
}

/// Arguments are bytes; an id that is not UTF-8 may stand there as it is.
impl ValueParserFactory for RequestId {
    type Parser = TryMapValueParser<OsStringValueParser, fn(OsString) -> Result<Self, ValueError>>;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().try_map(|text| Self::of(text.as_bytes()))
    }
}

impl FromStr for RequestId {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::of(text.as_bytes())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

/// The path of a key, or an end of one.
pub fn key_path(text: &str) -> Result<String, ValueError> {
    let is_name = |part: &str| !part.is_empty() && !part.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    if text.split("::").all(is_name) { Ok(text.to_owned()) } else { Err(ValueError::KeyPath) }
}

/// A share of the requests, `1/1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// One in so many, at least 1.
    #[must_use]
    pub const fn one_in(self) -> u64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.strip_prefix("1/").map(str::parse) {
            Some(Ok(count @ 1..)) => Ok(Self(count)),
            _ => Err(ValueError::Share),
        }
    }
}

/// A sampling rate of 1 to 4000 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u32);

impl Rate {
    /// Samples a second.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse() {
            Ok(hz @ 1..=RATE_MAX) => Ok(Self(hz)),
            _ => Err(ValueError::Rate),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Reads `200us`, `500ms`, `10s`, `2m` or `1h`; the unit is required, so that nobody waits ten minutes for ten seconds.
pub fn duration(text: &str) -> Result<Duration, ValueError> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(ValueError::Duration)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| ValueError::Duration)?;
    let microseconds = match unit {
        "us" | "µs" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err(ValueError::Duration),
    };
    let duration = Duration::from_micros(number.checked_mul(microseconds).ok_or(ValueError::LongDuration)?);
    if duration.is_zero() {
        Err(ValueError::ZeroDuration)
    } else if duration > DURATION_MAX {
        Err(ValueError::LongDuration)
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_of_1_to_64_bytes() {
        assert_eq!("".parse::<RequestId>(), Err(ValueError::EmptyRequestId));
        assert_eq!("a".parse::<RequestId>().unwrap().as_bytes(), b"a");
        assert!("x".repeat(64).parse::<RequestId>().is_ok());
        assert_eq!("x".repeat(65).parse::<RequestId>(), Err(ValueError::LongRequestId(65)));
        // Bytes, not characters.
        assert_eq!("é".repeat(33).parse::<RequestId>(), Err(ValueError::LongRequestId(66)));
        // Those that are meant, not those that are typed.
        let longest = r"\xff".repeat(64).parse::<RequestId>().unwrap();
        assert_eq!((longest.as_bytes(), longest.to_string()), (&[0xff; 64][..], r"\xff".repeat(64)));
        assert_eq!(r"a\\\x0a".parse::<RequestId>().unwrap().as_bytes(), b"a\\\n");
        assert_eq!(r"a\n".parse::<RequestId>(), Err(ValueError::Escape(EscapeError)));
    }

    #[test]
    fn rates_of_1_to_4000() {
        assert_eq!("1".parse::<Rate>().unwrap().hz(), 1);
        assert_eq!("4000".parse::<Rate>().unwrap().hz(), 4000);
        for bad in ["0", "4001", "-1", "", "99Hz", "99999999999"] {
            assert_eq!(bad.parse::<Rate>(), Err(ValueError::Rate), "{bad}");
        }
    }

    #[test]
    fn shares_are_one_in_so_many() {
        assert_eq!("1/1000".parse::<Share>().unwrap().one_in(), 1000);
        assert_eq!("1/1".parse::<Share>().unwrap().one_in(), 1);
        for bad in ["", "1", "1/0", "2/3", "1/x", "0.1", "1/-1"] {
            assert_eq!(bad.parse::<Share>(), Err(ValueError::Share), "{bad}");
        }
    }

    #[test]
    fn durations_with_a_unit() {
        assert_eq!(duration("200us"), Ok(Duration::from_micros(200)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(duration("1h"), Ok(Duration::from_hours(1)));
        for bad in ["", "10", "s", "ten s", "10 s", "-1s", "1.5s", "10d", "１s"] {
            assert_eq!(duration(bad), Err(ValueError::Duration), "{bad}");
        }
        assert_eq!(duration("0s"), Err(ValueError::ZeroDuration));
        assert_eq!(duration("169h"), Err(ValueError::LongDuration));
        assert_eq!(duration("18446744073709551615h"), Err(ValueError::LongDuration));
    }
}
