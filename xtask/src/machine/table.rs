//! All kernels' results in one table, and what stands under it: why tests were skipped, and what those that failed said.

use super::results::{Outcome, Results, word};
use crate::chore::grid::{grid, unknown};
use std::collections::{BTreeMap, BTreeSet};

/// What stands before the tables in docs/kernels.md.
const HEAD: &str = "\
# Kernels

Written by `cargo xtask vm --write`. Each test of `tests/kernel` attaches the product's own programs to functions of the test itself, plays polls,
wakes, spawns and scopes, and holds what the kernel side counted against the clock. Kernels that are not the host's are Debian's, booted under
QEMU without hardware virtualisation.
";

/// Results by the name they go by: `6.1`, `host`.
pub(crate) type Kernels = Vec<(String, Results)>;

/// The tables and what is to be told of them.
pub(crate) fn text(kernels: &Kernels) -> String {
    let parts = [tests(kernels), verified(kernels), reasons(kernels), failures(kernels), sums(kernels)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// docs/kernels.md.
pub(crate) fn document(kernels: &Kernels) -> String {
    let reasons = reasons(kernels);
    let skips: Vec<String> = reasons.lines().filter_map(|line| line.strip_prefix("  ")).map(|line| format!("* {line}")).collect();
    let skips = if skips.is_empty() { String::new() } else { format!("\nSkipped, with the reasons:\n\n{}\n", skips.join("\n")) };
    format!(
        "{HEAD}\n{}{skips}\n## What the verifier walks\n\nInstructions, of a million that are allowed.\n\n{}",
        tests(kernels),
        verified(kernels)
    )
}

/// The head of a column: the kernel's own release, or the series that was asked for.
fn head(name: &str, results: &Results) -> String {
    match results.release.as_deref().and_then(|release| release.split(['-', '+']).next()) {
        Some(release) if name == "host" => format!("{release} (host)"),
        // Debian's 6.1.0-56 is 6.1.0 to `uname`, and its package's number is what tells them apart.
        Some(_) => results.release.as_deref().unwrap_or(name).trim_end_matches("-cloud-amd64").to_owned(),
        None => name.to_owned(),
    }
}

fn heads<'a>(first: &'a str, kernels: &'a Kernels) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(kernels.iter().map(|(name, results)| head(name, results))).collect()
}

fn table(first: &str, kernels: &Kernels, keys: BTreeSet<&String>, cell: impl Fn(&Results, &str) -> String) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let heads = heads(first, kernels);
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let row = |key: &String| std::iter::once(key.clone()).chain(kernels.iter().map(|(_, results)| cell(results, key))).collect();
    grid(&heads, &keys.into_iter().map(row).collect::<Vec<Vec<String>>>())
}

fn tests(kernels: &Kernels) -> String {
    let names = kernels.iter().flat_map(|(_, results)| results.tests.keys()).collect();
    table("test", kernels, names, |results, name| {
        results.tests.get(name).map_or_else(unknown, |outcome| word(outcome).to_owned())
    })
}

fn verified(kernels: &Kernels) -> String {
    let names = kernels.iter().flat_map(|(_, results)| results.verified.keys()).collect();
    table("program", kernels, names, |results, name| results.verified.get(name).map_or_else(unknown, ToString::to_string))
}

/// One line a reason, with all that have it.
fn reasons(kernels: &Kernels) -> String {
    let mut lines = Vec::new();
    for (name, results) in kernels {
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (test, outcome) in &results.tests {
            if let Outcome::Skipped(reason) = outcome {
                by_reason.entry(reason).or_default().push(test);
            }
        }
        let shared = |(reason, tests): (&str, Vec<&str>)| match tests[..] {
            [test] => format!("  {name} {test}: {reason}"),
            _ => format!("  {name} {} and {} more: {reason}", tests.first().copied().unwrap_or_default(), tests.len() - 1),
        };
        lines.extend(by_reason.into_iter().map(shared));
        lines.extend(results.broken.iter().map(|why| format!("  {name}: {why}")));
    }
    if lines.is_empty() { String::new() } else { format!("skipped:\n{}\n", lines.join("\n")) }
}

/// What each test that failed said.
fn failures(kernels: &Kernels) -> String {
    let mut said = Vec::new();
    for (name, results) in kernels {
        for (test, outcome) in &results.tests {
            if let Outcome::Failed(lines) = outcome {
                said.push(format!("failed: {name} {test}"));
                said.extend(lines.iter().map(|line| format!("    {line}")));
            }
        }
    }
    if said.is_empty() { String::new() } else { said.join("\n") + "\n" }
}

/// `6.1.0-56: 70 passed, 0 failed, 6 skipped in 612 s`, a line a kernel.
fn sums(kernels: &Kernels) -> String {
    let sum = |(name, results): &(String, Results)| {
        let (passed, failed, skipped) = results.counts();
        format!("{}: {passed} passed, {failed} failed, {skipped} skipped in {} s", head(name, results), results.seconds)
    };
    kernels.iter().map(sum).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels() -> Kernels {
        let results = |release: &str, tests: &[(&str, Outcome)], verified: &[(&str, u64)]| Results {
            release: Some(release.to_owned()),
            tests: tests.iter().map(|(name, outcome)| ((*name).to_owned(), outcome.clone())).collect(),
            verified: verified.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            broken: None,
            seconds: 9,
        };
        let skipped = || Outcome::Skipped("no multi links".to_owned());
        vec![
            (
                "6.1".to_owned(),
                results("6.1.0-56-cloud-amd64", &[("a", skipped()), ("b", skipped()), ("c", Outcome::Passed)], &[("poll", 9)]),
            ),
            (
                "host".to_owned(),
                results("6.18.44-x", &[("a", Outcome::Passed), ("c", Outcome::Failed(vec!["left: 3".to_owned()]))], &[]),
            ),
        ]
    }

    /// Check the whole text: a column a kernel, `-` for what did not run, reasons and failures under it.
    #[test]
    fn kernels_stand_side_by_side() {
        let expected = "\
| test | 6.1.0-56 | 6.18.44 (host) |
| ---- | -------- | -------------- |
| a    | skipped  | passed         |
| b    | skipped  | -              |
| c    | passed   | FAILED         |

| program | 6.1.0-56 | 6.18.44 (host) |
| ------- | -------- | -------------- |
| poll    | 9        | -              |

skipped:
  6.1 a and 1 more: no multi links

failed: host c
    left: 3

6.1.0-56: 1 passed, 0 failed, 2 skipped in 9 s
6.18.44 (host): 1 passed, 1 failed, 0 skipped in 9 s";
        assert_eq!(text(&kernels()), expected);
    }

    /// Check that the document holds both tables and the reasons.
    #[test]
    fn the_document_is_whole() {
        let document = document(&kernels());
        for part in ["# Kernels\n", "| c    | passed   | FAILED", "* 6.1 a and 1 more: no multi links", "| poll    | 9"] {
            assert!(document.contains(part), "{part}: {document}");
        }
    }
}
