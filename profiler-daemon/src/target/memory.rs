//! The memory of the process, read from outside while it runs: many places with one system call.

use std::io;

use super::{Target, pidfd::Pidfd};

/// Places that one process_vm_readv(2) takes (`UIO_MAXIOV`, include/uapi/linux/uio.h).
const AT_ONCE: usize = 1024;

/// Bytes to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The address of the first.
    pub address: u64,
    /// How many.
    pub length: usize,
}

/// Memory that can be read in many places at once.
pub trait Spans {
    /// Fills `bytes` with the bytes of all spans, one behind the other, and says of each whether it could be read whole. Bytes of one that
    /// could not mean nothing.
    fn read_spans(&self, spans: &[Span], bytes: &mut [u8]) -> Vec<bool>;

    /// The same of one span.
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        self.read_spans(&[Span { address, length: bytes.len() }], bytes).first().copied().unwrap_or(false)
    }
}

/// The memory of a process.
///
/// Once the process has ended, its pid may be another's: what was read counts only if [`Self::is_gone`] says no afterwards. It is asked once
/// by whoever reads much, because asking takes as long as reading.
#[derive(Debug)]
pub struct TargetMemory {
    pid: libc::pid_t,
    pidfd: Pidfd,
}

impl TargetMemory {
    /// The memory of this process.
    pub fn of(target: &Target) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(target.pid).map_err(io::Error::other)?;
        Ok(Self { pid, pidfd: target.pidfd.try_clone()? })
    }

    /// The process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Whether the process has ended, and its memory with it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.pidfd.has_exited()
    }
}

impl Spans for TargetMemory {
    fn read_spans(&self, spans: &[Span], bytes: &mut [u8]) -> Vec<bool> {
        let mut whole = Vec::with_capacity(spans.len());
        let mut rest = bytes;
        for some in spans.chunks(AT_ONCE) {
            let length = some.iter().map(|span| span.length).sum::<usize>();
            let Some((here, after)) = rest.split_at_mut_checked(length) else { break };
            read_some(self.pid, some, here, &mut whole);
            rest = after;
        }
        whole.resize(spans.len(), false);
        whole
    }
}

/// Fills `bytes` from one place of process `pid`; `false`: not all of it could be read.
pub(super) fn read(pid: u32, address: u64, bytes: &mut [u8]) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    let mut whole = Vec::new();
    let length = bytes.len();
    read_some(pid, &[Span { address, length }], bytes, &mut whole);
    whole == [true]
}

/// At most [`AT_ONCE`] spans, whose lengths add up to that of `bytes`.
fn read_some(pid: libc::pid_t, spans: &[Span], bytes: &mut [u8], whole: &mut Vec<bool>) {
    let (mut spans, mut bytes) = (spans, bytes);
    while !spans.is_empty() {
        let mut read = read_until_fault(pid, spans, bytes);
        // It ends at the first page that cannot be read: the spans before it are whole, the one with it is not, and those behind it are
        // yet to be tried.
        let mut done = 0;
        while let Some(span) = spans.split_off_first() {
            let is_whole = read >= span.length;
            whole.push(is_whole);
            done += span.length;
            if !is_whole {
                break;
            }
            read -= span.length;
        }
        bytes = bytes.split_at_mut_checked(done).map_or(&mut [], |(_, rest)| rest);
    }
}

/// How many bytes could be read, from the first on without a gap.
fn read_until_fault(pid: libc::pid_t, spans: &[Span], bytes: &mut [u8]) -> usize {
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote: Vec<libc::iovec> = spans.iter().map(remote).collect();
    // SAFETY: the local vector is exactly `bytes`, which is ours alone; the remote ones are addresses in the other process, which the
    // kernel checks; both arrays outlive the call.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, remote.as_ptr(), remote.len() as libc::c_ulong, 0) };
    // An error is that of the first span.
    usize::try_from(read).unwrap_or(0)
}

fn remote(span: &Span) -> libc::iovec {
    // The kernel adds the two and refuses what wraps around, but the whole call with it: an address that is no user address is replaced by
    // null, which is never mapped (mmap_min_addr).
    let end = span.address.checked_add(span.length as u64);
    let is_user = end.is_some_and(|end| end < USER_END);
    let address = if is_user { usize::try_from(span.address).unwrap_or(0) } else { 0 };
    libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: span.length }
}

/// User space ends here, with five levels of page tables too (`TASK_SIZE_MAX`, arch/x86/include/asm/page_64.h, is lower with four).
const USER_END: u64 = 1 << 56;

#[cfg(test)]
mod tests {
    use super::*;

    /// Our own memory, which process_vm_readv reads like any other.
    fn own() -> TargetMemory {
        let pid = std::process::id();
        TargetMemory { pid: pid.cast_signed(), pidfd: Pidfd::open(pid).unwrap() }
    }

    fn span(bytes: &[u8]) -> Span {
        Span { address: bytes.as_ptr() as u64, length: bytes.len() }
    }

    /// Check that places which cannot be read, wherever they stand, spoil no other.
    #[test]
    fn what_cannot_be_read_spoils_nothing_else() {
        let (first, second) = ([1_u8; 16], *b"second");
        for bad in [0, 16, 1 << 47, u64::MAX, u64::MAX - 8, 0xdead_beef_dead_beef] {
            let bad = Span { address: bad, length: 9 };
            let spans = [bad, span(&first), bad, bad, span(&second), bad];
            let mut bytes = vec![0; spans.iter().map(|span| span.length).sum()];
            assert_eq!(own().read_spans(&spans, &mut bytes), [false, true, false, false, true, false], "{:#x}", bad.address);
            assert_eq!(bytes[9..25], first);
            assert_eq!(bytes[43..49], second);
        }
    }

    /// Check that more places than one system call takes are read.
    #[test]
    fn any_number_of_places() {
        let words: Vec<u64> = (0..3000).collect();
        let spans: Vec<Span> = words.iter().map(|word| Span { address: std::ptr::from_ref(word) as u64, length: 8 }).collect();
        let mut bytes = vec![0; 8 * words.len()];
        assert_eq!(own().read_spans(&spans, &mut bytes), vec![true; 3000]);
        let read: Vec<u64> = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(read, words);
    }

    /// Check that a buffer that is too short loses spans and nothing else.
    #[test]
    fn a_short_buffer_is_no_whole_read() {
        let bytes = [7_u8; 8];
        assert_eq!(own().read_spans(&[span(&bytes), span(&bytes)], &mut [0; 8]), [false, false]);
        assert!(own().read_spans(&[], &mut []).is_empty());
    }
}
