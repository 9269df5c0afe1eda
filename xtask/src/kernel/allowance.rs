//! What the programs' lengths are held against: `object/budget`, committed beside the object. A program that has grown by more than the
//! margin fails `cargo xtask build-ebpf`, with `--check` and without, and so lint; who means it accepts the new lengths, and the diff shows them.
//!
//! What a kernel's verifier goes through is held against `object/verified` by a test on a running kernel (`tests/kernel/verifier.rs`).

use super::budget::Program;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A program may grow by this part of its stored length, in thousandths...
const MARGIN_PER_MILLE: u64 = 30;
/// ... and in any case by so many instructions.
const MARGIN_LEAST: u64 = 12;

/// The name of what all functions take that programs call.
const FUNCTIONS: &str = "(functions)";

const HEAD: &str = "# Instructions of each program; of functions that programs call their sum. Held against the object by `cargo xtask build-ebpf --check`;
# `cargo xtask build-ebpf --accept` writes it anew.
";

/// The file's place.
pub(crate) fn file(crate_folder: &Path) -> PathBuf {
    crate_folder.join("object/budget")
}

/// Lengths by name.
fn lengths(programs: &[Program]) -> BTreeMap<String, u64> {
    let mut lengths = BTreeMap::new();
    for program in programs {
        let name = if program.section == ".text" { FUNCTIONS } else { &program.name };
        *lengths.entry(name.to_owned()).or_default() += program.instructions;
    }
    lengths
}

fn parse(text: &str) -> Result<BTreeMap<String, u64>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (length, name) = line.trim().split_once(' ').with_context(|| format!("no length and name: {line:?}"))?;
            let length = length.parse().with_context(|| format!("no length: {line:?}"))?;
            Ok((name.trim().to_owned(), length))
        })
        .collect()
}

/// Writes the lengths of `programs` as what is allowed.
pub(crate) fn accept(crate_folder: &Path, programs: &[Program]) -> Result<()> {
    let mut text = HEAD.to_owned();
    for (name, length) in lengths(programs) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{length:>6} {name}");
    }
    let file = file(crate_folder);
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Holds `programs` against the file.
pub(crate) fn check(crate_folder: &Path, programs: &[Program]) -> Result<()> {
    let file = file(crate_folder);
    let text = fs::read_to_string(&file)
        .with_context(|| format!("there is no {}; `cargo xtask build-ebpf --accept` writes it", file.display()))?;
    let allowed = parse(&text).with_context(|| format!("{} has another form", file.display()))?;
    let wrong = compare(&allowed, &lengths(programs));
    if !wrong.is_empty() {
        bail!(
            "the kernel side's programs are not within their budget:\n  {}\nif that is meant, accept it by `cargo xtask build-ebpf --accept` and commit {}",
            wrong.join("\n  "),
            file.display()
        );
    }
    Ok(())
}

/// What is wrong, a sentence each.
fn compare(allowed: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, length) in now {
        match allowed.get(name) {
            None => wrong.push(format!("{name} is new, {length} instructions")),
            Some(stored) => {
                let most = stored + (stored * MARGIN_PER_MILLE / 1000).max(MARGIN_LEAST);
                if *length > most {
                    wrong.push(format!("{name} has {length} instructions; {stored} are stored, {most} the most"));
                }
            }
        }
    }
    wrong.extend(allowed.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} is stored and gone")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(section: &str, name: &str, instructions: u64) -> Program {
        Program { section: section.to_owned(), name: name.to_owned(), instructions }
    }

    /// Check that growth within the margin passes, that beyond it fails, and that what comes and goes is named.
    #[test]
    fn growth_is_held_against_the_margin() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("object")).unwrap();
        let stored = [program("uprobe", "poll_start", 1000), program("uprobe", "empty", 2), program(".text", "a", 10)];
        accept(folder.path(), &stored).unwrap();
        check(folder.path(), &stored).unwrap();
        let within = [program("uprobe", "poll_start", 1030), program("uprobe", "empty", 14), program(".text", "b", 12)];
        check(folder.path(), &within).unwrap();
        let beyond = [program("uprobe", "poll_start", 1031), program("uprobe", "other", 1), program(".text", "a", 10)];
        let error = check(folder.path(), &beyond).unwrap_err().to_string();
        for part in ["poll_start has 1031", "other is new", "empty is stored and gone", "--accept"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    /// Check that a file of another form is an error and no budget.
    #[test]
    fn another_form_is_an_error() {
        assert!(parse("poll_start 12").is_err());
        assert!(parse("12").is_err());
        assert_eq!(parse("# words\n 12 a\n").unwrap(), BTreeMap::from([("a".to_owned(), 12)]));
    }
}
