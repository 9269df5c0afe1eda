//! The report, as `cargo xtask bench await` reads it.

use serde::{Deserialize, Serialize};

use profiler_tests::spread::Spread;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether less was measured than usual.
    pub(crate) quick: bool,
    /// Slices of each kind.
    pub(crate) rounds: usize,
    /// Polls in one.
    pub(crate) slice_polls: u64,
    /// What a task waits at, a row for each.
    pub(crate) shapes: Vec<Shape>,
    /// Leaves that store their wakers, where there are no layouts.
    pub(crate) stored: Vec<Stored>,
    /// Layouts, a row for each program.
    pub(crate) layouts: Vec<Layouts>,
}

/// A task that waits at awaits of one shape.
#[derive(Debug, Serialize)]
pub(crate) struct Shape {
    /// What it is.
    pub(crate) what: String,
    /// Walks in the kernel.
    pub(crate) walks: u64,
    /// Their steps.
    pub(crate) steps: u64,
    /// Words that they kept: one for each frame, and one where a branch was cut.
    pub(crate) words: u64,
    /// How they ended, where not all were whole.
    pub(crate) cut: Option<String>,
    /// A walk in the kernel, by its own clock.
    pub(crate) kernel: Spread,
    /// The same walk in user space over copied memory.
    pub(crate) user: Spread,
    /// A poll without the profiler.
    pub(crate) bare: Spread,
    /// A poll with the profiler attached and no walk.
    pub(crate) off: Spread,
    /// A poll with a walk at its end.
    pub(crate) on: Spread,
    /// What slices with the walk took more than those without beside them.
    pub(crate) difference: Spread,
    /// What two slices without differ by.
    pub(crate) error: Spread,
}

/// A task whose leaf stores its waker at each poll.
#[derive(Debug, Serialize)]
pub(crate) struct Stored {
    /// What it is.
    pub(crate) what: String,
    /// A poll without the profiler.
    pub(crate) bare: Spread,
    /// A poll with the profiler attached, and no probe where wakers are stored.
    pub(crate) attached: Spread,
    /// A poll with the probe, in which nothing is told.
    pub(crate) probed: Spread,
    /// A poll with the probe, in which the stack is told.
    pub(crate) told: Spread,
    /// What slices of the last took more than those of the one before beside them.
    pub(crate) difference: Spread,
}

/// The layouts of one program.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Layouts {
    /// The program's file.
    pub(crate) program: String,
    /// Why it has none.
    pub(crate) absent: Option<String>,
    /// Size of `.debug_info`.
    pub(crate) info_bytes: u64,
    /// Size of all sections with debug information.
    pub(crate) debug_bytes: u64,
    /// CPU time to make them, of all threads: the median of some runs.
    pub(crate) cpu_ns: u64,
    /// The part of it until the last unit had been gone through.
    pub(crate) scan_ns: u64,
    /// The same run by the clock.
    pub(crate) wall_ns: u64,
    /// Memory at most, beyond the file and what was there before.
    pub(crate) peak_bytes: u64,
    /// Nodes of the table.
    pub(crate) nodes: usize,
    /// Its edges.
    pub(crate) edges: usize,
    /// Task types, boxed futures and scopes that lead into it.
    pub(crate) entries: usize,
}
