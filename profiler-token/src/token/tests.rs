//! Known answers, and that nothing but what was signed is good.

use proptest::prelude::*;

use super::*;
use crate::KEY_BYTES;

const NONCE: [u8; NONCE_BYTES] = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0xaa];

fn key(byte: u8) -> Key {
    Key::new(&[byte; KEY_BYTES])
}

/// Computed apart from this code, by Python's hmac and hashlib:
/// `hmac.new(key, b"profiler-daemon x-profile\0" + signed, hashlib.sha256).hexdigest()`. Another version of this crate must agree.
#[test]
fn known_answers() {
    let counting: [u8; KEY_BYTES] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    for (key, expiry, nonce, token) in [
        (
            Key::new(&counting),
            1_795_730_400,
            NONCE,
            "v1.1795730400.00112233445566aa.f38da6928099e427d076be1285435a3cf3fcc06334c13adbc6e577d006d69118",
        ),
        (key(0), 0, [0; NONCE_BYTES], "v1.0.0000000000000000.c608af516d09e223ead7564faf491b67b3a373a40f5a3340a29fc8eca768e023"),
        (
            key(0xff),
            u64::MAX,
            [0xff; NONCE_BYTES],
            "v1.18446744073709551615.ffffffffffffffff.c4a23518fbf244c0f77a54f1498057ed45a8a46d559f1bd6e8331a1ab8d6d435",
        ),
    ] {
        assert_eq!(key.token(expiry, nonce), token);
        assert_eq!(
            key.judge(token.as_bytes(), expiry.saturating_sub(1)),
            if expiry == 0 { Verdict::Expired } else { Verdict::Good }
        );
        assert_eq!(key.judge(token.as_bytes(), expiry), Verdict::Expired);
    }
}

#[test]
fn the_longest_token_is_as_long_as_promised() {
    assert_eq!(key(1).token(u64::MAX, NONCE).len(), MAX_LEN);
}

/// Whoever has no key learns nothing of a token's expiry.
#[test]
fn the_signature_is_judged_before_the_expiry() {
    assert_eq!(key(2).judge(key(1).token(5, NONCE).as_bytes(), 9), Verdict::Wrong);
    assert_eq!(key(1).judge(key(1).token(5, NONCE).as_bytes(), 9), Verdict::Expired);
}

#[test]
fn what_does_not_read_as_a_token_is_malformed() {
    let good = key(1).token(1_795_730_400, NONCE);
    let (signed, mac) = good.rsplit_once('.').unwrap();
    for wrong in [
        String::new(),
        "1".to_owned(),
        mac.to_owned(),
        format!(".{mac}"),
        format!("v1.{mac}"),
        format!("v1..{mac}"),
        format!("v1...{mac}"),
        format!("v1.00112233445566aa.{mac}"),
        format!("v1..00112233445566aa.{mac}"),
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}{mac}"),
        format!("{signed}.{}", &mac[1..]),
        format!("{good}0"),
        format!("{good} "),
        format!(" {good}"),
        good.to_uppercase(),
        good.replace("v1.", "v2."),
        good.replace("v1.", "v1.+"),
        good.replace("v1.", "v1.0"),
        good.replace("v1.1795730400", "v1.99999999999999999999"),
        good.replace("v1.1795730400", "v1.-1"),
        good.replace("v1.1795730400", "v1.1e9"),
        good.replace("66aa", "66AA"),
        good.replace('.', ","),
        "v1.".repeat(1000),
    ] {
        assert_eq!(key(1).judge(wrong.as_bytes(), 0), Verdict::Malformed, "{wrong}");
    }
}

proptest! {
    #[test]
    fn what_was_made_is_good_until_it_expires(secret: [u8; KEY_BYTES], expiry: u64, nonce: [u8; NONCE_BYTES], now: u64) {
        let key = Key::new(&secret);
        let verdict = key.judge(key.token(expiry, nonce).as_bytes(), now);
        prop_assert_eq!(verdict, if now < expiry { Verdict::Good } else { Verdict::Expired });
    }

    /// No change of any bytes makes another good token.
    #[test]
    fn what_was_changed_is_not_good(secret: [u8; KEY_BYTES], expiry: u64, nonce: [u8; NONCE_BYTES], at: prop::sample::Index, byte: u8) {
        let key = Key::new(&secret);
        let mut token = key.token(expiry, nonce).into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        prop_assert!(matches!(key.judge(&token, 0), Verdict::Wrong | Verdict::Malformed));
    }

    #[test]
    fn another_key_does_not_do(one: [u8; KEY_BYTES], other: [u8; KEY_BYTES], expiry: u64, nonce: [u8; NONCE_BYTES]) {
        prop_assume!(one != other);
        prop_assert_eq!(Key::new(&other).judge(Key::new(&one).token(expiry, nonce).as_bytes(), 0), Verdict::Wrong);
    }

    #[test]
    fn any_bytes_are_judged(value in prop::collection::vec(any::<u8>(), 0..200), now: u64) {
        prop_assert_eq!(key(1).judge(&value, now), Verdict::Malformed);
    }
}
