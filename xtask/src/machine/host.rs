//! The same tests by the same runner on the kernel that runs here.

use super::results::{Reader, Results};
use crate::chore::place;
use crate::chore::root::as_root;
use crate::testing::program::merged;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::time::Instant;
use test_machine::plan::Plan;

/// Runs `plan`, whose programs are paths of this system, as root. Each test that ends goes to `see`.
pub(crate) fn run(init: &Path, plan: &Plan, folder: &Path, mut see: impl FnMut(&str)) -> Result<Results> {
    let file = folder.join("host.plan");
    fs::write(&file, plan.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    let began = Instant::now();
    let mut reader = Reader::default();
    let mut command = as_root(init, "loading programs into the kernel", &[])?;
    command.arg(&file).current_dir(place::repository());
    merged(&mut command, |line| {
        if let Some(told) = reader.line(line) {
            see(&told);
        }
    })?;
    let mut results = reader.end(false);
    results.seconds = began.elapsed().as_secs();
    Ok(results)
}
