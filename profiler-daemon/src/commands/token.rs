//! `token`: prints tokens and makes keys; and the keys for `curl`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use profiler_daemon::cli::{Exit, token::Token, visible};
use profiler_token::{KEY_BYTES, KEY_FILE_VARIABLE, KEY_VARIABLE, Key, NONCE_BYTES, key_text, unix_seconds};

use crate::failure::Failure;

/// `token`.
pub(super) fn run(order: &Token) -> Result<Exit> {
    match order {
        Token::NewKey(path) => new_key(path),
        Token::Print { key_file, valid } => {
            let none = || {
                let sentence =
                    format!("no key: name its file by --profile-key-file, or set {KEY_FILE_VARIABLE} or {KEY_VARIABLE}");
                Failure::new(Exit::NoKey, sentence)
            };
            let key = key(key_file.as_deref())?.ok_or_else(none)?;
            super::print(format!("{}\n", token(&key, *valid)?).as_bytes())
        }
    }
}

/// The key in this file, or else the one that the environment names.
pub(super) fn key(file: Option<&Path>) -> Result<Option<Key>> {
    let Some(path) = file else { return Ok(Key::from_env()?) };
    let key = Key::from_file(path)?;
    if std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0) {
        eprintln!("note: {} holds a key, and others can read it (chmod 600)", visible(&path.to_string_lossy()));
    }
    Ok(Some(key))
}

/// A token that is good from now on.
pub(super) fn token(key: &Key, valid: Duration) -> Result<String> {
    // A part of a second is a second: the clock of tokens has no smaller ones.
    let seconds = valid.as_secs() + u64::from(valid.subsec_nanos() > 0);
    Ok(key.token(unix_seconds().saturating_add(seconds), random::<NONCE_BYTES>()?))
}

/// Bytes of the system's source of randomness.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).context("cannot get random bytes")?;
    // The kernel gives up to 256 bytes whole (getrandom(2)).
    anyhow::ensure!(got == N, "the kernel gave {got} of {N} random bytes");
    Ok(bytes)
}

fn new_key(path: &Path) -> Result<Exit> {
    let failed = || Failure::new(Exit::NoKey, format!("cannot make the key file {}", path.display()));
    let text = key_text(&random::<KEY_BYTES>()?) + "\n";
    // Never over a file that is there: it may be the key of a service that runs.
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    Ok(Exit::Success)
}
