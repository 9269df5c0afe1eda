//! `cargo xtask fuzz`: what reads hostile bytes, fed with any.

use crate::chore::command::{cargo, loud};
use crate::chore::place;
use crate::chore::step::{note, step};
use crate::testing::outcome::Outcome;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Feed any bytes to what reads those of a target, of its files, and of the control socket.
///
/// Builds the fuzz targets in fuzz/fuzz_targets with libFuzzer's counters, by the stable compiler and without cargo-fuzz, and runs each for
/// some seconds from the seeds in fuzz/corpus and from what earlier runs found (target/fuzz/found). An input that makes one crash, hang,
/// or take too much memory ends the run and is kept in target/fuzz/artifacts, with how to run it again. fuzz/README.md tells more.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these targets.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each is run.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Run this input alone, of one target.
    #[arg(long, value_name = "FILE", conflicts_with = "seconds")]
    input: Option<PathBuf>,
}

/// The most that reading a file of some kilobytes may take (MiB). The fuzzer and its counters take 100 of it.
const MEMORY_MB: u32 = 512;
/// The most that one input may take (s), in a build that counts every branch.
const PATIENCE_SECONDS: u32 = 10;
/// The longest input; a file's tables fit in it, and longer ones only run slower.
const LONGEST: u32 = 32 * 1024;
const MACHINE: &str = "x86_64-unknown-linux-gnu";

/// What cargo-fuzz asks of the compiler (its `build` command), without a sanitizer, which would take a nightly one: counters on every edge
/// and hooks on comparisons.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let all = targets()?;
    let wanted = chosen(&all, &arguments.targets)?;
    let folder = step("fuzz: building", || build(&wanted))?;
    if let Some(input) = &arguments.input {
        let [target] = &*wanted else { bail!("--input is of one target: name it") };
        let input = std::path::absolute(input).context("cannot tell where the input is")?;
        return loud(runner(&folder, target).arg(input));
    }
    let started = Instant::now();
    for target in &wanted {
        step(&format!("fuzz: {target}, {} s", arguments.seconds), || one(&folder, target, arguments.seconds))?;
    }
    eprintln!("==> fuzz: {} targets, nothing found in {:.0} s", wanted.len(), started.elapsed().as_secs_f64());
    Ok(())
}

/// How long each runs among the tests.
const SHORT_SECONDS: u32 = 5;

/// All targets for a moment, each a test.
pub(crate) fn short() -> Result<Outcome> {
    let all = targets()?;
    let folder = step("fuzz: building", || build(&all))?;
    let mut outcome = Outcome::default();
    for target in &all {
        match one(&folder, target, SHORT_SECONDS) {
            Ok(()) => outcome.passed += 1,
            Err(error) => {
                eprintln!("error: {error:#}");
                outcome.failed.push(format!("fuzz {target}"));
            }
        }
    }
    eprintln!("==> fuzz: {}", outcome.counts());
    Ok(outcome)
}

/// The names of all targets: each is a file.
fn targets() -> Result<Vec<String>> {
    let folder = place::repository().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

fn chosen(all: &[String], wanted: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!("there is no fuzz target `{unknown}`; there are {}", all.join(", "));
    }
    Ok(if wanted.is_empty() { all.to_vec() } else { wanted.to_vec() })
}

/// Builds the targets and gives the folder that they are in.
fn build(wanted: &[String]) -> Result<PathBuf> {
    let target = place::target().join("fuzz");
    let mut command = cargo();
    command.current_dir(place::repository().join("fuzz"));
    // With a target named, build scripts and macros are built without the counters.
    command.args(["build", "--release", "--locked", "--quiet", "--target", MACHINE]);
    command.args(wanted.iter().flat_map(|name| ["--bin", name]));
    command.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &target);
    loud(&mut command)?;
    Ok(target.join(MACHINE).join("release"))
}

fn runner(folder: &Path, target: &str) -> Command {
    let mut command = Command::new(folder.join(target));
    command.args([format!("-rss_limit_mb={MEMORY_MB}"), format!("-timeout={PATIENCE_SECONDS}")]);
    command
}

fn one(folder: &Path, target: &str, seconds: u32) -> Result<()> {
    let at = |what: &str| place::target().join("fuzz").join(what).join(target);
    let (found, artifacts) = (at("found"), at("artifacts"));
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = runner(folder, target);
    command
        .args([format!("-max_total_time={seconds}"), format!("-max_len={LONGEST}"), "-print_final_stats=1".to_owned()])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args([found, place::repository().join("fuzz/corpus").join(target)])
        .stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot start the fuzz target {target}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        note(&format!("{target}: {}", summary(&text)));
        return Ok(());
    }
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(40)) {
        note(line);
    }
    bail!("{target} found an input, kept in {}: `cargo xtask fuzz {target} --input FILE` runs it again", artifacts.display());
}

/// What libFuzzer says at its end, in a line.
fn summary(text: &str) -> String {
    let number = |key: &str| text.lines().rev().find_map(|line| line.strip_prefix(key)).unwrap_or("?").trim().to_owned();
    format!(
        "{} inputs, {} of them new, at most {} MB",
        number("stat::number_of_executed_units:"),
        number("stat::new_units_added:"),
        number("stat::peak_rss_mb:")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that every target has seeds and a place in the manifest, and that the README names it.
    #[test]
    fn every_target_is_whole() {
        let fuzz = place::repository().join("fuzz");
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        let readme = fs::read_to_string(fuzz.join("README.md")).unwrap();
        let all = targets().unwrap();
        assert!(all.len() >= 12);
        for name in all {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
            assert!(readme.contains(&format!("| `{name}` |")), "{name} is not in fuzz/README.md");
            assert!(fs::read_dir(fuzz.join("corpus").join(&name)).is_ok_and(|seeds| seeds.count() > 0), "{name} has no seeds");
        }
    }

    #[test]
    fn an_unknown_target_is_refused() {
        let all = ["walk".to_owned()];
        assert_eq!(chosen(&all, &[]).unwrap(), all);
        assert!(chosen(&all, &["talk".to_owned()]).unwrap_err().to_string().contains("walk"));
    }

    #[test]
    fn the_end_is_read() {
        let text = "x\nstat::number_of_executed_units: 12\nstat::average_exec_per_sec: 3\nstat::new_units_added: 4\nstat::peak_rss_mb: 56\n";
        assert_eq!(summary(text), "12 inputs, 4 of them new, at most 56 MB");
    }
}
