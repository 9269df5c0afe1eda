//! Off the CPU: the blocking calls that async code makes by mistake.

use std::hint::black_box;
use std::io::{Read as _, Write as _, pipe};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fixture_service::clock::{asleep, monotonic};

use super::{Ground, Span, function, length_ns};

/// `std::thread::sleep`.
pub const SLEEP: Ground =
    Ground { name: "sleep", bottom: sleeping, functions: || vec![function!(sleeping)], syscall: Some(libc::SYS_clock_nanosleep) };

/// A read from a pipe into which another thread writes later.
pub const PIPE: Ground =
    Ground { name: "pipe", bottom: reading, functions: || vec![function!(reading)], syscall: Some(libc::SYS_read) };

/// A mutex that another thread holds.
pub const FUTEX: Ground =
    Ground { name: "futex", bottom: locking, functions: || vec![function!(locking)], syscall: Some(libc::SYS_futex) };

fn length() -> Duration {
    Duration::from_nanos(length_ns())
}

/// Runs `call`, and notes for how long it slept.
#[expect(clippy::inline_always, reason = "no frame may stand between the bottom and its call")]
#[inline(always)]
fn timed(call: impl FnOnce()) -> Span {
    asleep(|| {
        let start_ns = monotonic();
        call();
        Span { start_ns, end_ns: monotonic() }
    })
}

#[inline(never)]
fn sleeping() -> Span {
    black_box(timed(|| thread::sleep(length())))
}

#[inline(never)]
fn reading() -> Span {
    let Ok((mut from, mut to)) = pipe() else { return Span::default() };
    let writer = thread::spawn(move || {
        thread::sleep(length());
        // The reader waits for it; nobody else could be told.
        drop(to.write_all(b"."));
    });
    let span = timed(|| {
        let mut byte = [0];
        drop(black_box(from.read_exact(&mut byte)));
    });
    drop(writer.join());
    black_box(span)
}

#[inline(never)]
fn locking() -> Span {
    static HELD: Mutex<()> = Mutex::new(());
    let (holds, held) = channel();
    let holder = thread::spawn(move || {
        let _guard = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        // An error says that nobody waits.
        let _ = holds.send(());
        thread::sleep(length());
    });
    // An error says that the holder is gone, and then the lock is free.
    let _ = held.recv();
    let span = timed(|| drop(HELD.lock().unwrap_or_else(PoisonError::into_inner)));
    drop(holder.join());
    black_box(span)
}
