//! Which frame of a stack is the user's own code.
//!
//! A worker sleeps in libc, called by the standard library, called by the line that somebody can change. That line is
//! the innermost frame that is none of the crates below.

use super::Code;
use crate::model::names::crate_of;

/// Crates that carry out what others ask for. A frame of theirs says how a worker was blocked, and not by whom.
const CARRIERS: [&str; 17] = [
    "std",
    "core",
    "alloc",
    "libc",
    "rustix",
    "tokio",
    "tokio_util",
    "mio",
    "parking_lot",
    "parking_lot_core",
    "lock_api",
    "futures_core",
    "futures_util",
    "futures_executor",
    "tracing",
    "pin_project_lite",
    "profiler_annotate",
];

/// The user's frame of a stack, the innermost first.
pub(super) fn own(stack: &[Code]) -> Option<&Code> {
    stack.iter().find(|code| is_own(code))
}

fn is_own(code: &Code) -> bool {
    let file = code.file.as_deref();
    let known = crate_of(&code.function).or_else(|| file.and_then(crate_of_file));
    match known {
        Some(known) => !CARRIERS.contains(&known.replace('-', "_").as_str()),
        // Without a path in its name it may be C, unless its file says otherwise.
        None => file.is_some_and(|file| file.rsplit_once('.').is_some_and(|(_, end)| end == "rs")),
    }
}

/// `tokio` of `.../registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src/time/sleep.rs`, `std` of a file of the standard
/// library (rustc writes `/rustc/HASH/library/...`).
fn crate_of_file(file: &str) -> Option<&str> {
    if file.starts_with("/rustc/") || file.contains("/rustlib/src/") {
        return Some("std");
    }
    let (_, inside) = file.split_once("/registry/src/")?;
    let folder = inside.split('/').nth(1)?;
    let version = folder.match_indices('-').find(|(at, _)| folder.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit))?;
    folder.get(..version.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(function: &str, file: Option<&str>) -> Code {
        Code { function: function.to_owned(), file: file.map(str::to_owned), line: None }
    }

    /// Check that carriers are told from the user's code by name, and without a path in the name by file.
    #[test]
    fn carriers_are_not_own() {
        let registry = "/home/u/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";
        for (function, file) in [
            ("std::thread::sleep", None),
            ("<core::pin::Pin<P> as core::future::future::Future>::poll", None),
            ("<&mut F as core::ops::function::FnOnce<A>>::call_once", None),
            ("core::ops::function::FnOnce::call_once<orders::load, ()>", None),
            ("tokio::runtime::park::Inner::park", None),
            ("parking_lot::raw_mutex::RawMutex::lock_slow", None),
            ("__GI___clock_nanosleep", None),
            ("syscall", Some("../sysdeps/unix/sysv/linux/x86_64/syscall.S")),
            ("[libc.so.6+0x42]", None),
            ("poll", Some(&format!("{registry}/tokio-1.54.1/src/time/sleep.rs"))),
            ("poll", Some(&format!("{registry}/parking_lot_core-0.9.1/src/lib.rs"))),
            ("poll", Some("/rustc/59807616e1fa/library/core/src/future.rs")),
            ("", None),
            ("<", None),
            ("< as >", None),
        ] {
            assert!(!is_own(&code(function, file)), "{function} {file:?}");
        }
    }

    #[test]
    fn own_code_is_found() {
        for (function, file) in [
            ("orders::load", None),
            ("<orders::Load as core::future::future::Future>::poll", None),
            ("<[u8; 8] as orders::Sum>::sum", None),
            ("<&dyn orders::Store as core::fmt::Debug>::fmt", None),
            ("tokio_postgres::query::query", None),
            ("load", Some("src/orders.rs")),
            ("{async fn in orders.rs}", Some("/home/u/shop/src/orders.rs")),
        ] {
            assert!(is_own(&code(function, file)), "{function} {file:?}");
        }
        let stack =
            ["__GI___clock_nanosleep", "std::thread::sleep", "orders::load", "orders::handle"].map(|name| code(name, None));
        assert_eq!(own(&stack).map(|code| code.function.as_str()), Some("orders::load"));
        assert_eq!(own(&stack[..2]), None);
    }
}
