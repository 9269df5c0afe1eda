//! What a program that uses this crate looks like from outside: its file, its memory, its registers at the probe sites.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod allocations;
mod binaries;
mod elf;
mod probes;
mod slot;
