//! Any bytes as a file with names: symbols and line tables, inlined functions, links to debug files. Whatever the readers think of it, each
//! address has at least one frame.
//!
//! The last 16 bytes are two addresses; the file is the rest.
#![no_main]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::FromRawFd as _;
use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use profiler_daemon::model::{Symbolize as _, Symbols};
use profiler_daemon::target::mapped::Modules;

const START: u64 = 0x10_0000;

/// Panics of the library that reads symbols are caught by the profiler. The fuzzer's own hook would end the run at them.
fn let_panics_be_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

fn in_memory(bytes: &[u8]) -> File {
    // SAFETY: a name that ends in a zero.
    let fd = unsafe { libc::memfd_create(c"program".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: it was just made for us.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(bytes).unwrap();
    file
}

fuzz_target!(|bytes: &[u8]| {
    let_panics_be_caught();
    let Some((bytes, [a, b])) = bytes.split_last_chunk::<16>().map(|(bytes, words)| (bytes, words.as_chunks::<8>().0)) else {
        return;
    };
    let file = in_memory(bytes);
    let mut symbols = Symbols::new(Modules::of_file(file, START).unwrap());
    let inside = |word: &[u8; 8]| START + u64::from_le_bytes(*word) % (bytes.len() as u64 + 1);
    let addresses = [inside(a), inside(b), u64::from_le_bytes(*a), START, START + 0x1000];
    let named = symbols.symbolize(&addresses);
    assert_eq!(named.len(), addresses.len());
    for frames in named {
        assert!(!frames.is_empty());
        assert!(frames.iter().all(|frame| frame.function.len() <= 8192), "a name is cut");
    }
    let _ = symbols.warnings();
});
