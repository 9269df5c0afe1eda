//! The verbs of `cargo xtask`, one a file.

pub(crate) mod bench;
pub(crate) mod build_ebpf;
pub(crate) mod demo;
pub(crate) mod fuzz;
pub(crate) mod lint;
pub(crate) mod matrix;
pub(crate) mod soak;
pub(crate) mod test;
pub(crate) mod tidy;
pub(crate) mod vm;
