//! Progress lines: what is being done, and how many seconds it took.

use anyhow::Result;
use std::time::Instant;

/// Announces `what`, does it, and tells the seconds it took where they are worth telling.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {what}");
    let started = Instant::now();
    let done = work()?;
    let seconds = started.elapsed().as_secs_f64();
    if seconds >= 0.5 {
        eprintln!("    done in {seconds:.1} s");
    }
    Ok(done)
}

/// One line under the step that is being done.
pub(crate) fn note(line: &str) {
    eprintln!("    {line}");
}

/// Several of them.
pub(crate) fn notes(lines: &[String]) {
    for line in lines {
        note(line);
    }
}
