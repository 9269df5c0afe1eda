//! The kernel tests on other kernels: Debian's packages, booted under QEMU with an init of our own, and the host's beside them.
//!
//! A kernel's package is unpacked in `target/machine` ([`packages`]); the test programs, what they link and the init are packed into an
//! initramfs ([`initramfs`]); the machine runs them and tells by its serial port ([`boot`]); what it told becomes results ([`results`]) and
//! one table of all kernels ([`table`]). Nothing is mounted and no network is had: the machine is the kernel and these files.

pub(crate) mod boot;
pub(crate) mod files;
pub(crate) mod host;
pub(crate) mod initramfs;
pub(crate) mod packages;
pub(crate) mod results;
pub(crate) mod selection;
pub(crate) mod table;
