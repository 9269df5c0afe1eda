//! Any bytes as a request's token, and as a key's text: judged without a panic, and good only if it was signed by the key.
//!
//! The first 8 bytes are the time; the rest is the token, or the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_token::{KEY_BYTES, Key, NONCE_BYTES, Verdict};

fuzz_target!(|bytes: &[u8]| {
    let Some((now, rest)) = bytes.split_first_chunk() else { return };
    let now = u64::from_le_bytes(*now);
    let key = Key::new(&[7; KEY_BYTES]);
    // Whoever finds a token that is signed has found the key, or HMAC's end.
    assert!(!matches!(key.judge(rest, now), Verdict::Good), "forged");
    if let Ok(key) = Key::from_text(rest) {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&now.to_le_bytes());
        let token = key.token(now, nonce);
        assert!(!matches!(key.judge(token.as_bytes(), now.saturating_sub(1)), Verdict::Malformed | Verdict::Wrong));
        let mut damaged = token.into_bytes();
        let at = usize::from(nonce[0]) % damaged.len();
        damaged[at] ^= 1;
        assert!(!matches!(key.judge(&damaged, 0), Verdict::Good), "damaged");
    }
});
