//! Making and judging tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::Mac as _;

use crate::{Key, hex};

/// The header that carries a token.
pub const HEADER: &str = "x-profile";
/// Length of a nonce.
pub const NONCE_BYTES: usize = 8;
/// Longest token.
pub const MAX_LEN: usize = VERSION.len() + MAX_EXPIRY + 1 + 2 * NONCE_BYTES + 1 + 2 * MAC_BYTES;

const VERSION: &str = "v1.";
/// Digits of the largest expiry.
const MAX_EXPIRY: usize = 20;
const MAC_BYTES: usize = 32;
/// What is signed before the token: a key that signs other things elsewhere signs no tokens by accident.
const PURPOSE: &[u8] = b"profiler-daemon x-profile\0";

/// What a header's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The request is to be profiled.
    Good,
    /// Another key signed it, or nobody.
    Wrong,
    /// Its time is over.
    Expired,
    /// It does not read as a token.
    Malformed,
}

impl Key {
    /// A token that is good until the second `expiry` of the Unix epoch begins.
    #[must_use]
    pub fn token(&self, expiry: u64, nonce: [u8; NONCE_BYTES]) -> String {
        let signed = format!("{VERSION}{expiry}.{}", hex::text(&nonce));
        let mac = self.0.clone().chain_update(PURPOSE).chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", hex::text(&mac))
    }

    /// What `value` is, `now` being a second of the Unix epoch.
    #[must_use]
    pub fn judge(&self, value: &[u8], now: u64) -> Verdict {
        let Some(parts) = Parts::of(value) else { return Verdict::Malformed };
        let mac = self.0.clone().chain_update(PURPOSE).chain_update(parts.signed);
        // `verify_slice` compares in constant time.
        if mac.verify_slice(&parts.mac).is_err() {
            Verdict::Wrong
        } else if now >= parts.expiry {
            Verdict::Expired
        } else {
            Verdict::Good
        }
    }
}

/// The current second. A clock that cannot be read lets every token expire.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
}

/// A well-formed token.
struct Parts<'a> {
    signed: &'a [u8],
    expiry: u64,
    mac: [u8; MAC_BYTES],
}

impl<'a> Parts<'a> {
    fn of(value: &'a [u8]) -> Option<Self> {
        if value.len() > MAX_LEN {
            return None;
        }
        let (rest, mac) = value.split_at_checked(value.len().checked_sub(2 * MAC_BYTES)?)?;
        let signed = rest.strip_suffix(b".")?;
        let (expiry, nonce) = signed
            .strip_prefix(VERSION.as_bytes())?
            .split_at_checked(signed.len().checked_sub(VERSION.len() + 2 * NONCE_BYTES)?)?;
        let expiry = expiry.strip_suffix(b".")?;
        // One way to write each number: as `token` does.
        let canonical = expiry.iter().all(u8::is_ascii_digit) && (expiry.len() == 1 || expiry.first() != Some(&b'0'));
        if !canonical || !hex::is_lower(nonce, 2 * NONCE_BYTES) || !hex::is_lower(mac, 2 * MAC_BYTES) {
            return None;
        }
        Some(Self { signed, expiry: str::from_utf8(expiry).ok()?.parse().ok()?, mac: hex::bytes(mac)? })
    }
}

#[cfg(test)]
mod tests;
