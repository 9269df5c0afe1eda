//! On the CPU: in our own code, in the vDSO, in libc's code, and behind a `dyn Fn`.

use std::hint::black_box;

use fixture_service::clock::monotonic;

use super::{Ground, Span, for_its_length, function, length_ns};

/// Computes.
pub const SPIN: Ground = Ground { name: "spin", bottom: spinning, functions: || vec![function!(spinning)], syscall: None };

/// Reads a clock over and over: most samples lie in the vDSO.
pub const VDSO: Ground =
    Ground { name: "vdso", bottom: reading_clocks, functions: || vec![function!(reading_clocks)], syscall: None };

/// Copies memory: most samples lie in libc's hand-written `memcpy`.
pub const COPY: Ground = Ground { name: "copy", bottom: copying, functions: || vec![function!(copying)], syscall: None };

/// Computes below a boxed closure, whose own function has no name that could be taken.
pub const BOXED: Ground = Ground {
    name: "boxed",
    bottom: calling_a_box,
    functions: || vec![function!(calling_a_box), function!(spinning, through others)],
    syscall: None,
};

/// Also the bottom of callbacks and of the signal handler.
#[inline(never)]
pub(super) fn spinning() -> Span {
    for_its_length(|| {
        for step in 0..2_000_u32 {
            black_box(step);
        }
    })
}

#[inline(never)]
fn reading_clocks() -> Span {
    for_its_length(|| {
        for _ in 0..100 {
            black_box(monotonic());
        }
    })
}

/// More than the nearest caches hold, so that a copy takes its time.
const COPIED: usize = 4 << 20;

#[inline(never)]
fn copying() -> Span {
    let (from, mut to) = (vec![1_u8; COPIED], vec![0_u8; COPIED]);
    for_its_length(|| {
        to.copy_from_slice(black_box(&from));
        black_box(&to);
    })
}

#[inline(never)]
fn calling_a_box() -> Span {
    let length_ns = length_ns();
    let boxed: Box<dyn Fn() -> Span> = Box::new(move || {
        black_box(length_ns);
        black_box(spinning())
    });
    black_box(black_box(boxed)())
}
