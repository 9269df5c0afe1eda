//! A test that cannot run here says so, with the reason, where it is seen.

use std::io::Write as _;

/// Prints `SKIPPED: <test>: <reason>` past libtest's capture: a passing test's prints are otherwise thrown away.
pub fn announce(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("?");
    // Nowhere to complain if standard error is closed.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
}

/// Is this process root?
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: no arguments, no memory, cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Ends the test with the reason printed.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::skip::announce(&format!($($reason)+));
        return Ok(());
    }};
}

/// Ends the test where it is not run by root.
#[macro_export]
macro_rules! needs_root {
    () => {
        if !$crate::skip::is_root() {
            $crate::skip!("needs root");
        }
    };
}
