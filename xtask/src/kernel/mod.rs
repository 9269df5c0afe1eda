//! The kernel side's object: the toolchain that builds it, its compilation, and what is checked of it.

pub(crate) mod allowance;
pub(crate) mod bpf_linker;
pub(crate) mod btf;
pub(crate) mod budget;
pub(crate) mod compile;
pub(crate) mod debian;
pub(crate) mod elsewhere;
pub(crate) mod layout;
pub(crate) mod manifest;
pub(crate) mod sources;
pub(crate) mod strip;
pub(crate) mod toolchain;
