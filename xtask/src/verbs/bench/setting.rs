//! What the numbers depend on: the machine that they were measured on.

use crate::chore::command::captured;
use anyhow::{Context, Result};
use std::process::Command;

/// The machine in a sentence. `rivals`: programs that take part, whose versions belong to it.
pub(super) fn machine(rivals: &[&str]) -> Result<String> {
    let first_line = |program: &str, argument: &str| -> Option<String> {
        let output = captured(Command::new(program).arg(argument)).ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
    };
    let rustc = first_line("rustc", "--version").context("rustc does not tell its version")?;
    let kernel = first_line("uname", "-r").context("uname does not tell the kernel's version")?;
    // What follows the first dash names the machine's own build.
    let kernel = kernel.split('-').next().unwrap_or_default().to_owned();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let versions = rivals.iter().map(|rival| first_line(rival, "--version").unwrap_or_else(|| format!("no {rival}")));
    let parts: Vec<String> = std::iter::once(rustc).chain(versions).collect();
    Ok(format!("Linux {kernel}, x86-64, {cpus} CPUs; {}.", parts.join("; ")))
}
