//! `cargo xtask bench overhead`: what profilers cost a service, ours and others.

mod document;
mod report;

use super::measured::{Format, measured, quick_word};
use super::setting::machine;
use crate::chore::command::loud;
use crate::chore::place;
use crate::chore::step::{note, step};
use crate::testing::build;
use anyhow::{Context, Result};
use report::Report;
pub(super) use report::Verdict;
use std::fs;
use std::process::Command;

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
    let program = step("bench: building", || build::benchmark("overhead"))?;
    let daemon = step("bench: building the profiler", build::released_profiler)?;
    // Not as root: what is built must belong to whoever runs this.
    step("bench: building the services", || loud(Command::new(&program).arg("--build").current_dir(place::repository())))?;
    let mut words = quick_word(arguments.quick);
    words.extend(arguments.pairs.map(|pairs| format!("--pairs={pairs}")));
    words.extend((!arguments.rows.is_empty()).then(|| format!("--rows={}", arguments.rows.join(","))));
    let text =
        step("bench: measuring", || measured(&program, "attaching to the service", &[(DAEMON, daemon.as_os_str())], &words))?;
    let report: Report = serde_json::from_str(&text).context("the benchmark's report is no JSON of its form")?;
    arguments.format.print(&text, || document::tables(&report));
    if words.is_empty() {
        let file = place::repository().join("docs/overhead.md");
        fs::write(&file, document::document(&report, &machine(&["perf", "bpftrace"])?))
            .with_context(|| format!("cannot write {}", file.display()))?;
        note(&format!("written to {}", place::shown(&file)));
    }
    Ok(())
}
