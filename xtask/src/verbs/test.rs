//! `cargo xtask test`: every test.

use super::fuzz;
use crate::chore::command::cargo;
use crate::chore::place;
use crate::chore::step::{note, notes, step};
use crate::testing::build;
use crate::testing::outcome::{Outcome, parse};
use crate::testing::program::{Program, Which, merged};
use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Instant;

/// Run every test: unit, property, documentation, kernel, end to end.
///
/// Builds everything as you, with the committed kernel object (no nightly, no BPF toolchain). The tests that load programs into the kernel
/// (profiler-tests: kernel, stacks, awaits, end_to_end, frameworks, bad_input, privileges, faults, soak) run as root, one at a time, through sudo where you are not root, which is
/// said. Then each fuzz target runs for some seconds (`cargo xtask fuzz`
/// runs them longer). A test that cannot run on this machine is skipped with its reason; one of those that run as root that fails is run once more
/// alone, and named where it passes then. The last line is `N passed, N failed, N skipped`.
#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Only tests whose name contains this; may be given several times. Documentation tests are left out.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    /// Only tests that need no root.
    #[arg(long)]
    pub(crate) no_root: bool,
    /// Only tests that need root.
    #[arg(long, conflicts_with = "no_root")]
    pub(crate) only_root: bool,
    /// Leave out the short run of the fuzz targets, whose build takes some minutes the first time.
    #[arg(long)]
    pub(crate) no_fuzz: bool,
    /// Run the profiler with this kernel object instead of the one it holds.
    #[arg(long, value_name = "FILE")]
    pub(crate) object: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let programs = step("tests: building", build::programs)?;
    let ingredients = step("tests: building the profiler and the services it is tested with", build::ingredients)?;
    let mut environment =
        vec![("PROFILER_DAEMON_BIN", ingredients.daemon.as_os_str()), ("PROFILER_FIXTURES", ingredients.fixtures.as_os_str())];
    // Tests run in the folders of their packages.
    let object = arguments.object.as_deref().map(std::path::absolute).transpose()?;
    environment.extend(object.iter().map(|object| ("PROFILER_EBPF_OBJECT", object.as_os_str())));
    let mut whole = Outcome::default();
    for program in programs.iter().filter(|program| wanted(program, arguments)) {
        whole.add(one(program, arguments, &environment)?);
    }
    if arguments.filter.is_empty() && !arguments.only_root {
        whole.add(documentation()?);
        if !arguments.no_fuzz {
            whole.add(fuzz::short()?);
        }
    }
    println!("\n{}", whole.summary());
    if !whole.failed.is_empty() {
        bail!("{} tests failed", whole.failed.len());
    }
    if !arguments.filter.is_empty() && whole.is_empty() {
        bail!(
            "no test's name holds {}: a test is named by its modules and its function, not by its program",
            arguments.filter.join(" or ")
        );
    }
    Ok(())
}

fn wanted(program: &Program, arguments: &Arguments) -> bool {
    if program.needs_root() { !arguments.no_root } else { !arguments.only_root }
}

/// One program: its tests are shown as they run where they are slow, otherwise only where one fails.
fn one(program: &Program, arguments: &Arguments, environment: &[(&str, &OsStr)]) -> Result<Outcome> {
    let live = program.needs_root();
    if live {
        eprintln!("==> {}", program.name());
    }
    let started = Instant::now();
    let mut lines = Vec::new();
    let mut outcome = program.run(Which::Holding(&arguments.filter), environment, |line| {
        if live && !line.is_empty() {
            note(line);
        }
        lines.push(line.to_owned());
    })?;
    if !live && !outcome.failed.is_empty() {
        notes(&lines);
    }
    if live {
        again(program, &mut outcome, environment)?;
    }
    eprintln!("==> {}: {} in {:.1} s", program.name(), outcome.counts(), started.elapsed().as_secs_f64());
    Ok(outcome)
}

/// Runs those that failed a second time, each alone, and puts down which passed then. Only tests that measure real processes on the real kernel
/// are given this: what they compare can be torn apart by a machine that does something else for a moment. It is shown, and counts as
/// passed.
fn again(program: &Program, outcome: &mut Outcome, environment: &[(&str, &OsStr)]) -> Result<()> {
    let prefix = format!("{} ", program.name());
    for failed in outcome.failed.clone() {
        // Not that of a program that died as a whole: it names no test.
        let Some(test) = failed.strip_prefix(&prefix).filter(|test| !test.contains(' ')) else { continue };
        eprintln!("==> {}: {test} once more", program.name());
        outcome.retried(&failed, &program.run(Which::Only(test), environment, note)?);
    }
    Ok(())
}

/// The examples in documentation, which only cargo can build.
fn documentation() -> Result<Outcome> {
    let mut command = cargo();
    command.current_dir(place::repository()).args(["test", "--workspace", "--doc", "--locked", "--quiet"]);
    let (status, lines) = merged(&mut command, |_| {})?;
    let outcome = parse("documentation", &lines, status);
    if !outcome.failed.is_empty() {
        notes(&lines);
    }
    eprintln!("==> documentation: {}", outcome.counts());
    Ok(outcome)
}
