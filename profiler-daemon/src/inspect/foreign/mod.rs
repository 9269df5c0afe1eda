//! Thread-locals of other libraries that name requests: which an ELF file has, and how its code reaches them.
//!
//! | module | knows |
//! | --- | --- |
//! | `symbols` | the file: TLS symbols by name, and the relocations that resolve to them |
//! | `access` | from what the loader wrote into the GOT to a place that can be read from outside |
//! | `process_context` | the protobuf message that names the attributes (OTEP 4719) |
//!
//! Sources: OTEP 4947 and custom-labels v1 for the names; Drepper, "ELF Handling For Thread-Local Storage", for the models and variants.

mod access;
mod process_context;
mod symbols;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use access::{Access, Libc, at_fixed_offset};
pub use process_context::{Keys, keys_of};
pub use symbols::foreign_module;
pub(crate) use symbols::own_thread_local;

/// A context that another library keeps for the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// OpenTelemetry's thread context (OTEP 4947).
    OpenTelemetry,
    /// custom-labels, version 1.
    CustomLabels,
}

impl Context {
    /// Every one, in the order in which they are read.
    pub const ALL: [Self; 2] = [Self::OpenTelemetry, Self::CustomLabels];

    /// The thread-local's name.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::OpenTelemetry => "otel_thread_ctx_v1",
            Self::CustomLabels => "custom_labels_current_set",
        }
    }
}

/// How code reaches a thread-local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// The executable's own: the linker knew the offset.
    LocalExec,
    /// An offset that the loader writes into the GOT (`TPOFF64`).
    InitialExec,
    /// A descriptor that the loader fills in (`TLSDESC`).
    Descriptor,
    /// A module's number and an offset in its block (`DTPMOD64`, `DTPOFF64`).
    GeneralDynamic,
}

impl Model {
    /// As people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LocalExec => "local-exec",
            Self::InitialExec => "initial-exec",
            Self::Descriptor => "TLS descriptor",
            Self::GeneralDynamic => "general-dynamic",
        }
    }
}

/// A place in the GOT from which the thread-local is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reach {
    /// How.
    pub model: Model,
    /// Its address in the file's terms: one word, or two.
    pub got: u64,
}

/// One thread-local of the file, defined here or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsSymbol {
    /// Which.
    pub context: Context,
    /// Where it lies in the file's TLS segment. `None`: another file defines it.
    pub value: Option<u64>,
    /// Whether it is among the dynamic symbols, where readers look for it.
    pub exported: bool,
    /// From where it is reached, each once.
    pub reaches: Vec<Reach>,
}

/// The `PT_TLS` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TlsSegment {
    /// Its address.
    pub vaddr: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Its alignment.
    pub align: u64,
}

/// What machine a file is for, as far as thread-locals differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Machine {
    /// Variant II: blocks lie below the thread pointer.
    X86_64,
    /// Variant I: they lie above it.
    Aarch64,
}

/// What a file has of other libraries' contexts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForeignModule {
    /// For what machine.
    pub machine: Machine,
    /// Its TLS segment.
    pub tls: Option<TlsSegment>,
    /// Its loader, of an executable that is linked dynamically.
    pub interpreter: Option<String>,
    /// The thread-locals that it defines or refers to.
    pub symbols: Vec<TlsSymbol>,
    /// Address of `custom_labels_abi_version`, where it has it.
    pub labels_version: Option<u64>,
    /// That version as it stands in the file.
    pub labels_version_in_file: Option<u32>,
}

/// The version of custom-labels' layout that is read.
pub const LABELS_VERSION: u32 = 1;
