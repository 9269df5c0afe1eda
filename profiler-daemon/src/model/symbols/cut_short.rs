//! Reading a mapped file that somebody cuts short meanwhile.
//!
//! The library that looks names up maps the file. Where it ends sooner than it did when it was mapped, the kernel sends SIGBUS to whoever reads there (mmap(2)),
//! and the profiler would end with it. While names are looked up such a page is replaced by one of zeros, which no reader of a hostile file trips over,
//! and what was found in the file is dropped.

use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::OnceLock;

use libc::{c_int, c_void, siginfo_t};

/// What this thread does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Nothing that is mapped from a file that others may change.
    Nothing,
    /// Such a file.
    Mapped,
    /// Such a file, and it was cut short.
    CutShort,
}

thread_local! {
    // Without a destructor and known at compile time: the handler may look at it.
    static READS: Cell<Reads> = const { Cell::new(Reads::Nothing) };
}

/// A page of x86-64. A larger one holds no page of a regular file.
const PAGE: usize = 4096;

/// Over, also where the reader panics.
struct Over;

impl Drop for Over {
    fn drop(&mut self) {
        READS.set(Reads::Nothing);
    }
}

/// What came of reading: nothing, if the file was cut short meanwhile.
///
/// Not to be nested.
pub(super) fn reading<T>(read: impl FnOnce() -> T) -> Result<T, CutShort> {
    install().map_err(CutShort::Unhandled)?;
    READS.set(Reads::Mapped);
    let over = Over;
    let result = read();
    let was_cut = READS.get() == Reads::CutShort;
    drop(over);
    if was_cut { Err(CutShort::WhileRead) } else { Ok(result) }
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutShort {
    /// It was cut short.
    #[error("it was cut short while it was read")]
    WhileRead,
    /// The handler could not be put in, and without one it is not read.
    #[error("a handler of SIGBUS cannot be put in (sigaction): {0}")]
    Unhandled(io::Error),
}

/// The handler that was there before: the standard library's, which tells of overflown stacks.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

fn install() -> io::Result<()> {
    if BEFORE.get().is_some() {
        return Ok(());
    }
    // SAFETY: integers and a null pointer.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only asks.
    if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if BEFORE.set(before).is_err() {
        // Another thread is about to put it in.
        return Ok(());
    }
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_bus_error;
    ours.sa_sigaction = handler as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler calls nothing but what a handler may (signal-safety(7)).
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

extern "C" fn on_bus_error(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    if READS.get() != Reads::Nothing && replace(info) {
        READS.set(Reads::CutShort);
        return;
    }
    let Some(before) = BEFORE.get() else { return };
    if before.sa_flags & libc::SA_SIGINFO != 0 && before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN {
        // SAFETY: the kernel's own word for what stands there: with this flag it takes these arguments (sigaction(2)).
        let handler =
            unsafe { std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(before.sa_sigaction) };
        handler(signal, info, context);
        return;
    }
    // The instruction runs again, and the process ends as it would have.
    // SAFETY: what was there before.
    unsafe { libc::sigaction(libc::SIGBUS, before, ptr::null_mut()) };
}

/// Puts zeros where nothing is any more. Whether that was what the signal is about.
fn replace(info: *mut siginfo_t) -> bool {
    // SAFETY: the kernel's, for as long as the handler runs.
    let info = unsafe { &*info };
    // SAFETY: a bus error has an address.
    let address = unsafe { info.si_addr() } as usize;
    if info.si_code != libc::BUS_ADRERR {
        return false;
    }
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the page is mapped, this thread has just read it, and nothing can be read of it: whatever it belonged to is no worse off. While this thread reads
    // a mapped file it touches no other mapping of a file that may end.
    let page = unsafe { libc::mmap((address & !(PAGE - 1)) as *mut c_void, PAGE, libc::PROT_READ, flags, -1, 0) };
    page != libc::MAP_FAILED
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    struct Mapping(*mut c_void, usize);

    impl Mapping {
        fn of(file: &File, len: usize) -> Self {
            // SAFETY: a mapping of its own.
            let at = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
            assert_ne!(at, libc::MAP_FAILED);
            Self(at, len)
        }

        fn byte(&self, at: usize) -> u8 {
            assert!(at < self.1);
            let byte = self.0.cast::<u8>().wrapping_add(at);
            // SAFETY: inside of the mapping.
            unsafe { ptr::read_volatile(byte) }
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: ours.
            unsafe { libc::munmap(self.0, self.1) };
        }
    }

    /// Check that what is cut short reads as zeros and is told of, again and again, and that what is whole is read as ever.
    #[test]
    fn a_file_that_is_cut_short_ends_nobody() {
        for _ in 0..2 {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[7; 3 * PAGE]).unwrap();
            let mapping = Mapping::of(&file, 3 * PAGE);
            assert_eq!(reading(|| mapping.byte(2 * PAGE)).unwrap(), 7);
            file.set_len(10).unwrap();
            let mut seen = Vec::new();
            let result = reading(|| seen.extend([mapping.byte(0), mapping.byte(PAGE), mapping.byte(2 * PAGE + 5)]));
            assert!(matches!(result, Err(CutShort::WhileRead)), "{result:?}");
            assert_eq!(seen, [7, 0, 0]);
            // The pages are there now.
            reading(|| mapping.byte(PAGE)).unwrap();
        }
    }

    /// Check that a panic inside leaves nothing behind.
    #[test]
    fn a_panic_is_over() {
        let caught = std::panic::catch_unwind(|| reading(|| std::panic::resume_unwind(Box::new(1))));
        assert!(caught.is_err());
        assert!(READS.get() == Reads::Nothing);
    }
}
