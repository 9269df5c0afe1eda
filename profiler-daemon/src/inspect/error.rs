//! Why a file could not be inspected.

/// What stops an inspection. Everything less is a [`super::Note`] in the result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// The bytes are no 64-bit little-endian ELF file, or its headers do not hold together.
    #[error("not a usable ELF file: {0}")]
    NotElf(String),
    /// An ELF file for a machine other than x86-64.
    #[error("the program is built for {0}; only x86-64 is supported")]
    WrongArchitecture(String),
    /// Neither a Tokio source path nor a Tokio symbol nor a task vtable in the file.
    #[error("no Tokio in this program: no `tokio-<version>` source path, no Tokio symbol, no task vtable")]
    NotTokio,
    /// Tokio is there, but not one task vtable: nothing is spawned, or the layout is unknown.
    #[error(
        "Tokio {version} is in this program, but no task vtable was found: \
         it spawns no task, it is unoptimised and stripped, or its Tokio lays tasks out in a way not known here"
    )]
    NoTaskVtable {
        /// The version found, or "of unknown version".
        version: String,
    },
    /// A table in the file is larger than any real program needs.
    #[error("{what} at {address:#x}: {count} entries, more than the limit of {limit}")]
    TooLarge {
        /// What was being read.
        what: &'static str,
        /// Its address in the file's own address space, 0 where it has none.
        address: u64,
        /// How many entries it claims.
        count: u64,
        /// The limit it broke.
        limit: u64,
    },
}
