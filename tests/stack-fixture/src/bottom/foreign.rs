//! Below code that is not Rust's: callbacks from libc's `qsort` and `bsearch`, and a signal handler.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::{io, ptr};

use super::awake::spinning;
use super::{Ground, Span, function};

/// In the comparison that `qsort` calls.
pub const SORT: Ground = Ground {
    name: "sort",
    bottom: sorting,
    functions: || vec![function!(sorting), function!(compare, through others), function!(spinning)],
    syscall: None,
};

/// In the comparison that `bsearch` calls.
pub const SEARCH: Ground = Ground {
    name: "search",
    bottom: searching,
    functions: || vec![function!(searching), function!(compare, through others), function!(spinning)],
    syscall: None,
};

/// In the handler of a signal that the thread sends to itself.
pub const SIGNAL: Ground = Ground {
    name: "signal",
    bottom: raising,
    functions: || vec![function!(raising), function!(handle, through others), function!(spinning)],
    syscall: None,
};

thread_local! {
    /// What a callback brings back. Without a destructor and with a constant value, so that a signal handler may use it.
    static SPAN: Cell<Option<Span>> = const { Cell::new(None) };
}

/// Spins at the first call of a round, and compares.
extern "C" fn compare(left: *const c_void, right: *const c_void) -> c_int {
    if SPAN.get().is_none() {
        SPAN.set(Some(black_box(spinning())));
    }
    // SAFETY: libc passes pointers to elements of the array of `i32` that it was given, or to the key.
    let left = unsafe { *left.cast::<i32>() };
    // SAFETY: as above.
    let right = unsafe { *right.cast::<i32>() };
    left.cmp(&right) as c_int
}

#[inline(never)]
fn sorting() -> Span {
    SPAN.set(None);
    let mut numbers: [i32; 8] = [5, 3, 7, 1, 6, 2, 8, 4];
    // SAFETY: the array has as many elements of that size, and the comparison takes pointers to them.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), size_of::<i32>(), Some(compare)) };
    black_box(&numbers);
    SPAN.take().unwrap_or_default()
}

#[inline(never)]
fn searching() -> Span {
    SPAN.set(None);
    let numbers: [i32; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    let key = 6_i32;
    // SAFETY: the array has as many elements of that size, and the comparison takes pointers to them.
    let found = unsafe { bsearch(ptr::from_ref(&key).cast(), numbers.as_ptr().cast(), numbers.len(), size_of::<i32>(), compare) };
    black_box(found);
    SPAN.take().unwrap_or_default()
}

unsafe extern "C" {
    /// bsearch(3), which the `libc` crate does not declare.
    fn bsearch(
        key: *const c_void,
        base: *const c_void,
        count: usize,
        size: usize,
        compare: extern "C" fn(*const c_void, *const c_void) -> c_int,
    ) -> *mut c_void;
}

/// The handler: it runs on the thread's own stack, above whatever the signal interrupted.
extern "C" fn handle(_signal: c_int) {
    SPAN.set(Some(black_box(spinning())));
}

#[inline(never)]
fn raising() -> Span {
    SPAN.set(None);
    // SAFETY: no memory; the handler is installed before any phase.
    let failed = unsafe { libc::raise(libc::SIGUSR1) };
    black_box(failed);
    SPAN.take().unwrap_or_default()
}

/// Installs [`handle`] for SIGUSR1, without an alternate stack.
pub(super) fn install_handler() -> io::Result<()> {
    // SAFETY: a sigaction is made of integers and an optional function; all zero is an empty one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is live, and its handler takes a signal's number.
    if unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
