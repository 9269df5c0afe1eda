//! The await benchmark's report, as `tests/await_bench/report.rs` writes it.

use serde::Deserialize;

/// Everything that was measured.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) quick: bool,
    pub(super) rounds: usize,
    pub(super) slice_polls: u64,
    pub(super) shapes: Vec<Shape>,
    pub(super) stored: Vec<Stored>,
    pub(super) layouts: Vec<Layouts>,
}

/// A median and the quartiles around it (ps).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Spread {
    pub(super) q1: i64,
    pub(super) median: i64,
    pub(super) q3: i64,
}

/// A task that waits at awaits of one shape.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Shape {
    pub(super) what: String,
    pub(super) walks: u64,
    pub(super) steps: u64,
    pub(super) words: u64,
    pub(super) cut: Option<String>,
    pub(super) kernel: Spread,
    pub(super) user: Spread,
    pub(super) bare: Spread,
    pub(super) off: Spread,
    pub(super) on: Spread,
    pub(super) difference: Spread,
    pub(super) error: Spread,
}

/// A task whose leaf stores its waker at each poll.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Stored {
    pub(super) what: String,
    pub(super) bare: Spread,
    pub(super) attached: Spread,
    pub(super) probed: Spread,
    pub(super) told: Spread,
    pub(super) difference: Spread,
}

/// The layouts of one program.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Layouts {
    pub(super) program: String,
    pub(super) absent: Option<String>,
    pub(super) info_bytes: u64,
    pub(super) debug_bytes: u64,
    pub(super) cpu_ns: u64,
    pub(super) scan_ns: u64,
    pub(super) wall_ns: u64,
    pub(super) peak_bytes: u64,
    pub(super) nodes: usize,
    pub(super) edges: usize,
    pub(super) entries: usize,
}
