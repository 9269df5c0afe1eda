//! Forms that a result or a listing is asked for in: what is drawn, as what, and by which column it is sorted.

use clap::ValueEnum;

/// Which time a stack is weighted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Metric {
    /// Time by the clock, waiting included
    #[default]
    Wall,
    /// Time on a CPU
    Cpu,
    /// Time asleep in the kernel, blocking a worker
    Blocked,
}

/// What a result is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// An interactive SVG, for any browser
    Flamegraph,
    /// Stacks with their nanoseconds, one a line, for inferno and flamegraph.pl
    Folded,
    /// The report, schema profiler.report/1
    Json,
    /// Gzipped protobuf with every state as a sample type, for `go tool pprof` and profile stores
    Pprof,
    /// Wall and CPU time as one file, for speedscope.app
    Speedscope,
    /// Samples, and polls as markers, for profiler.firefox.com; shows time, so --metric does not matter
    Firefox,
    /// A track per worker and task, wakes as arrows, for ui.perfetto.dev; shows time, so --metric does not matter
    Perfetto,
    /// Which functions call and await which, with wall and CPU time; an SVG where FILE ends in .svg, else DOT for graphviz; --metric does
    /// not matter
    Callgraph,
    /// The same drawn; asked for by the end of FILE
    #[value(skip)]
    CallgraphSvg,
}

/// What a listing is printed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// A column of the task table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SortColumn {
    /// Task id
    Id,
    /// Type of the task's future
    Type,
    /// How the task is run: spawned, local, blocking
    Kind,
    /// Tasks in the row
    Count,
    /// Wall time
    Wall,
    /// Time on a CPU
    #[default]
    Running,
    /// Time runnable but off CPU
    Preempted,
    /// Time asleep in the kernel, blocking a worker
    Blocked,
    /// Time ready, waiting for a worker
    Scheduled,
    /// Time waiting at an await
    Suspended,
    /// Number of polls
    Polls,
    /// Number of wakes
    Wakes,
    /// The longest poll
    LongestPoll,
}
