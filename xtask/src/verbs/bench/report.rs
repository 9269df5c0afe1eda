//! The unwinding benchmark's report, as `tests/unwind_bench/report.rs` writes it.

use serde::Deserialize;

/// Everything that was measured.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) quick: bool,
    pub(super) tables: Vec<Table>,
    pub(super) stacks: Vec<Stacks>,
}

/// The unwind table of one file.
#[derive(Debug, Deserialize)]
pub(super) struct Table {
    pub(super) file: String,
    pub(super) file_bytes: u64,
    pub(super) entries: u64,
    pub(super) rows: u64,
    pub(super) rules: u64,
    pub(super) bytes: u64,
    pub(super) build_ns: u64,
    pub(super) unsupported_ppm: u64,
}

/// How one unwinder did on the fixture in one profile.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stacks {
    pub(super) profile: String,
    pub(super) unwinder: String,
    pub(super) source: String,
    pub(super) absent: Option<String>,
    pub(super) known: u64,
    pub(super) complete: u64,
    pub(super) walks: u64,
    pub(super) whole: Option<u64>,
    pub(super) frames: u64,
    pub(super) walk_ns: Option<u64>,
    pub(super) bytes_per_sample: Option<u64>,
    pub(super) as_framehop: Option<u64>,
    pub(super) compared: u64,
}
