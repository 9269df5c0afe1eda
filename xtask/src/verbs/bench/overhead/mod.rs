//! `cargo xtask bench overhead`: what profilers cost a service, ours and others.

mod document;
mod report;

use super::measured::{Format, built, measured, quick_word, read, write};
use super::setting::machine;
use crate::chore::step::step;
use crate::testing::build;
use anyhow::Result;
use report::Report;
pub(super) use report::Verdict;

/// Measure what profiling costs a service, beside other profilers.
///
/// An axum service under load has one CPU, the load and the profilers have the others. Short slices with a profiler and without alternate in
/// one run: each mode of ours, empty programs on the same sites as the floor, and console-subscriber, dial9, tracing-flame,
/// tokio-metrics, pprof-rs, perf and bpftrace where they can be built or are installed; where not, their row says why. A row without anybody says
/// how far the rig itself can be trusted. Then the promises: what the daemon takes at a hundred thousand polls a second, and how fast it comes and goes. Takes
/// some eight minutes, with `--quick` one, and what building takes. Prints the tables and writes them to docs/overhead.md.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A minute only; the document is left as it is.
    #[arg(long)]
    quick: bool,
    /// What to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// These rows only, with `aa`; the document is left as it is.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Pairs of slices a row; the document is left as it is.
    #[arg(long)]
    pairs: Option<usize>,
}

/// What names the profiler to the benchmark (`tests/src/binaries.rs`).
const DAEMON: &str = "PROFILER_DAEMON_BIN";

/// Runs the verb.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let program = built("overhead", "the services", &[])?;
    let daemon = step("bench: building the profiler", build::released_profiler)?;
    let mut words = quick_word(arguments.quick);
    words.extend(arguments.pairs.map(|pairs| format!("--pairs={pairs}")));
    words.extend((!arguments.rows.is_empty()).then(|| format!("--rows={}", arguments.rows.join(","))));
    let text =
        step("bench: measuring", || measured(&program, "attaching to the service", &[(DAEMON, daemon.as_os_str())], &words))?;
    let report: Report = read(&text)?;
    arguments.format.print(&text, || document::tables(&report));
    if words.is_empty() {
        write("docs/overhead.md", &document::document(&report, &machine(&["perf", "bpftrace"])?))?;
    }
    Ok(())
}
