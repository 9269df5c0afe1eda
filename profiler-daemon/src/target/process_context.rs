//! OpenTelemetry's process context: a named mapping with a header, and a message that may lie anywhere (OTEP 4719).
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | signature `OTEL_CTX` |
//! | 8 | 4 | version: 2 |
//! | 12 | 4 | size of the message |
//! | 16 | 8 | when it was published; 0 while it changes |
//! | 24 | 8 | address of the message |
//!
//! What it says is `inspect`'s matter.

use super::maps::{Mapping, parse_lines};
use super::memory::Spans;

/// What the mapping's name begins with, in `/proc/PID/maps`: of shared memory, of private memory, of a memfd.
const NAMES: [&[u8]; 3] = [b"[anon_shmem:OTEL_CTX]", b"[anon:OTEL_CTX]", b"/memfd:OTEL_CTX"];
const SIGNATURE: &[u8] = b"OTEL_CTX";
const VERSION: u32 = 2;
const HEADER: usize = 32;
/// As much as OpenTelemetry's own reader takes.
const MAX_PAYLOAD: usize = 65_536;
/// How often a context that changes meanwhile is read again.
const TRIES: u32 = 3;

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// When: another time, another message.
    pub at_ns: u64,
    /// The message.
    pub payload: Vec<u8>,
}

/// Why there is nothing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Its memory cannot be read.
    #[error("the process context at {address:#x} cannot be read")]
    Unreadable {
        /// Where it, or its message, should be.
        address: u64,
    },
    /// The mapping does not hold one (yet).
    #[error("the mapping at {address:#x} has a process context's name and not its signature")]
    NoSignature {
        /// Where.
        address: u64,
    },
    /// Another version.
    #[error("the process context has version {version}, and only {VERSION} is known")]
    Version {
        /// Which.
        version: u32,
    },
    /// Longer than a reader takes.
    #[error("the process context's message has {size} bytes, and at most {MAX_PAYLOAD} are read")]
    TooLarge {
        /// How long.
        size: u32,
    },
    /// It changed at every try.
    #[error("the process context was changing at every try to read it")]
    Changing,
}

/// Where the process context lies, by the text of `/proc/PID/maps`. `None`: there is none.
#[must_use]
pub fn find(maps: &[u8]) -> Option<u64> {
    let (mappings, _) = parse_lines(maps);
    mappings.iter().find(|mapping| is_context(mapping)).map(|mapping| mapping.start)
}

fn is_context(mapping: &Mapping) -> bool {
    mapping.readable && NAMES.iter().any(|name| mapping.name().starts_with(name))
}

/// Reads the process context at `address`.
pub fn read(memory: &impl Spans, address: u64) -> Result<Published, ContextError> {
    for _ in 0..TRIES {
        let before = header(memory, address)?;
        if before.at_ns == 0 {
            continue;
        }
        let size = usize::try_from(before.size).ok().filter(|size| *size <= MAX_PAYLOAD);
        let mut payload = vec![0; size.ok_or(ContextError::TooLarge { size: before.size })?];
        let read = memory.read(before.payload, &mut payload);
        if header(memory, address)? != before {
            continue;
        }
        if !read {
            return Err(ContextError::Unreadable { address: before.payload });
        }
        return Ok(Published { at_ns: before.at_ns, payload });
    }
    Err(ContextError::Changing)
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    size: u32,
    at_ns: u64,
    payload: u64,
}

fn header(memory: &impl Spans, address: u64) -> Result<Header, ContextError> {
    let mut bytes = [0; HEADER];
    if !memory.read(address, &mut bytes) {
        return Err(ContextError::Unreadable { address });
    }
    let [signature, sizes, at_ns, payload]: [[u8; 8]; 4] =
        [0, 8, 16, 24].map(|at| bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).unwrap_or_default());
    if signature.as_slice() != SIGNATURE {
        return Err(ContextError::NoSignature { address });
    }
    let sizes = u64::from_le_bytes(sizes);
    let (version, size) = (low(sizes), low(sizes >> 32));
    if version != VERSION {
        return Err(ContextError::Version { version });
    }
    Ok(Header { size, at_ns: u64::from_le_bytes(at_ns), payload: u64::from_le_bytes(payload) })
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn low(word: u64) -> u32 {
    word as u32
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::memory::Span;
    use super::*;

    /// Memory from 0x1000 on, whose time of publication is another at each of the first looks.
    struct Bytes {
        bytes: Vec<u8>,
        changes: Cell<u8>,
    }

    impl Spans for Bytes {
        fn read_spans(&self, spans: &[Span], bytes: &mut [u8]) -> Vec<bool> {
            let [span] = spans else { return vec![false; spans.len()] };
            let mut now = self.bytes.clone();
            if self.changes.get() > 0 {
                self.changes.set(self.changes.get() - 1);
                now[16] = self.changes.get();
            }
            let at = usize::try_from(span.address.wrapping_sub(0x1000)).ok();
            match at.and_then(|at| now.get(at..at.checked_add(span.length)?)) {
                Some(there) => {
                    bytes.copy_from_slice(there);
                    vec![true]
                }
                None => vec![false],
            }
        }
    }

    fn context(version: u32, size: u32, at_ns: u64, payload: u64) -> Bytes {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([version, size].map(u32::to_le_bytes).concat());
        bytes.extend([at_ns, payload].map(u64::to_le_bytes).concat());
        bytes.extend(b"message");
        Bytes { bytes, changes: Cell::new(0) }
    }

    /// Check a context whose message follows its header, and each way in which there is none.
    #[test]
    fn a_context_is_read_whole_or_not() {
        let read = |bytes: &Bytes| read(bytes, 0x1000);
        assert_eq!(read(&context(2, 7, 77, 0x1020)), Ok(Published { at_ns: 77, payload: b"message".to_vec() }));
        assert_eq!(read(&context(1, 7, 77, 0x1020)), Err(ContextError::Version { version: 1 }));
        assert_eq!(read(&context(2, 7, 0, 0x1020)), Err(ContextError::Changing));
        assert_eq!(read(&context(2, 70_000, 77, 0x1020)), Err(ContextError::TooLarge { size: 70_000 }));
        assert_eq!(read(&context(2, 7, 77, 0x9000)), Err(ContextError::Unreadable { address: 0x9000 }));
        let mut other = context(2, 7, 77, 0x1020);
        other.bytes[0] = 0;
        assert_eq!(read(&other), Err(ContextError::NoSignature { address: 0x1000 }));
        assert_eq!(super::read(&other, 0x5000), Err(ContextError::Unreadable { address: 0x5000 }));
    }

    /// Check that one that is published anew while it is read is read again.
    #[test]
    fn a_change_is_seen() {
        let bytes = context(2, 7, 77, 0x1020);
        bytes.changes.set(3);
        assert_eq!(read(&bytes, 0x1000).map(|read| read.at_ns), Ok(77));
        bytes.changes.set(100);
        assert_eq!(read(&bytes, 0x1000), Err(ContextError::Changing));
    }

    /// Check the three names, and names that only look alike.
    #[test]
    fn the_mapping_is_found_by_its_name() {
        let line = |name: &str| format!("7f0000000000-7f0000001000 rw-p 00000000 00:01 42     {name}\n").into_bytes();
        for name in ["[anon_shmem:OTEL_CTX]", "[anon:OTEL_CTX]", "/memfd:OTEL_CTX (deleted)"] {
            assert_eq!(find(&line(name)), Some(0x7f00_0000_0000), "{name}");
        }
        for name in ["/home/OTEL_CTX", "[heap]", "[anon:OTEL_CTY]"] {
            assert_eq!(find(&line(name)), None, "{name}");
        }
    }
}
