//! What a reader outside the process sees: the slot, the probe sites and the table.
//!
//! `linux` has them all, for Linux on x86-64 and aarch64. Elsewhere, and under Miri, `portable` stands in: scopes still name
//! the current request inside the process, and nothing is visible from outside.

#[cfg(all(target_os = "linux", target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
#[path = "abi/linux.rs"]
mod imp;

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(miri)
)))]
#[path = "abi/portable.rs"]
mod imp;

pub(crate) use imp::*;
