//! Publication, in the order that the OTEP gives.
//!
//! The C library's functions are declared here: the crate has no dependency for five calls.

use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::sync::atomic::{Ordering, fence};

const SIGNATURE: u64 = u64::from_ne_bytes(*b"OTEL_CTX");
const VERSION: u32 = 2;
/// One page on every machine this runs on, and more than the payload needs.
const SIZE: usize = 4096;

// Values of the kernel's headers, the same on x86-64 and aarch64 unless they are chosen by it.
const PROT_READ_WRITE: c_int = 1 | 2;
const MAP_PRIVATE: c_int = 2;
const MAP_ANONYMOUS: c_int = 0x20;
const MADV_DONTFORK: c_int = 10;
const MFD_CLOEXEC: c_long = 1;
const PR_SET_VMA: c_int = 0x5356_4d41;
const PR_SET_VMA_ANON_NAME: c_ulong = 0;
const CLOCK_BOOTTIME: c_int = 7;
#[cfg(target_arch = "x86_64")]
const SYS_MEMFD_CREATE: Option<c_long> = Some(319);
#[cfg(target_arch = "aarch64")]
const SYS_MEMFD_CREATE: Option<c_long> = Some(279);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const SYS_MEMFD_CREATE: Option<c_long> = None;

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: c_long,
}

unsafe extern "C" {
    fn mmap(addr: *mut c_void, len: usize, prot: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn munmap(addr: *mut c_void, len: usize) -> c_int;
    fn madvise(addr: *mut c_void, len: usize, advice: c_int) -> c_int;
    fn prctl(option: c_int, ...) -> c_int;
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

/// The header, see the parent module's table.
#[repr(C)]
struct Header {
    signature: u64,
    version: u32,
    payload_size: u32,
    published_at_ns: u64,
    payload: *const u8,
}

const _: () = assert!(size_of::<Header>() == 32);

/// Whether it could be published.
pub(super) fn publish(payload: &[u8]) -> bool {
    try_publish(payload).is_some()
}

/// `None` where the kernel refused a step without which nobody could find or read the mapping.
fn try_publish(payload: &[u8]) -> Option<()> {
    let payload_size = u32::try_from(payload.len()).ok()?;
    if payload.len() > SIZE - size_of::<Header>() {
        return None;
    }
    let published_at_ns = boot_time_ns()?;
    let memfd = memfd();
    let mapping = map(memfd.as_ref())?;
    // SAFETY: a mapping of our own, SIZE bytes, page-aligned, that nobody else writes; the payload fits, as checked above.
    let published = unsafe { fill(mapping, payload, payload_size, published_at_ns) };
    let named = name(mapping);
    if !published || (memfd.is_none() && !named) {
        // SAFETY: the mapping made above, of which no pointer is kept.
        unsafe { munmap(mapping, SIZE) };
        return None;
    }
    Some(())
}

/// # Safety
///
/// `mapping` is writable for `SIZE` bytes, aligned to 8, and holds the header and the payload.
unsafe fn fill(mapping: *mut c_void, payload: &[u8], payload_size: u32, published_at_ns: u64) -> bool {
    // SAFETY: MADV_DONTFORK on a mapping of our own changes what a child process gets, nothing here.
    if unsafe { madvise(mapping, SIZE, MADV_DONTFORK) } != 0 {
        return false;
    }
    let target = mapping.cast::<Header>();
    // SAFETY: within the mapping, as the caller promised.
    let body = unsafe { target.add(1) }.cast::<u8>();
    // SAFETY: likewise; a fresh mapping does not overlap the payload.
    unsafe { ptr::copy_nonoverlapping(payload.as_ptr(), body, payload.len()) };
    // SAFETY: likewise, and aligned.
    unsafe {
        target.write(Header { signature: 0, version: VERSION, payload_size, published_at_ns, payload: body });
    };
    // A reader that sees the signature sees the rest.
    fence(Ordering::SeqCst);
    // SAFETY: the signature is the header's first field.
    unsafe { target.cast::<u64>().write_volatile(SIGNATURE) };
    true
}

/// The file that gives the mapping its name in `/proc/PID/maps`. `None` where a sandbox forbids it.
fn memfd() -> Option<File> {
    // SAFETY: memfd_create(name, flags) reads the name only.
    let fd = unsafe { syscall(SYS_MEMFD_CREATE?, c"OTEL_CTX".as_ptr(), MFD_CLOEXEC) };
    let fd = c_int::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: a descriptor that was just made for us.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(SIZE as u64).ok()?;
    Some(file)
}

fn map(memfd: Option<&File>) -> Option<*mut c_void> {
    let (flags, fd) = memfd.map_or((MAP_PRIVATE | MAP_ANONYMOUS, -1), |file| (MAP_PRIVATE, file.as_raw_fd()));
    // SAFETY: asks for new memory at an address of the kernel's choice.
    let mapping = unsafe { mmap(ptr::null_mut(), SIZE, PROT_READ_WRITE, flags, fd, 0) };
    // MAP_FAILED is -1.
    (mapping.addr() != usize::MAX).then_some(mapping)
}

/// Names an anonymous mapping, which kernels before 5.17 cannot. Done always: readers may watch for the call.
fn name(mapping: *mut c_void) -> bool {
    let name: *const c_char = c"OTEL_CTX".as_ptr();
    // SAFETY: names a mapping of our own; the kernel copies the name.
    unsafe { prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, mapping, SIZE, name) == 0 }
}

fn boot_time_ns() -> Option<u64> {
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: writes the structure, which has the C library's layout on 64-bit Linux.
    if unsafe { clock_gettime(CLOCK_BOOTTIME, &raw mut now) } != 0 {
        return None;
    }
    // Zero would say that the context is being changed.
    let ns = u64::try_from(now.seconds).ok()? * 1_000_000_000 + u64::try_from(now.nanoseconds).ok()?;
    Some(ns.max(1))
}
