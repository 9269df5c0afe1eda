//! Counting: what a test program's output says, and the sum of many.
//!
//! libtest knows no skipped test. A test that cannot run here prints `SKIPPED: <test>: <reason>` and passes; it is counted as skipped
//! and not as passed. An ignored test is a skipped one whose reason stands in its attribute.

use std::collections::BTreeMap;
use std::process::ExitStatus;

const SKIPPED: &str = "SKIPPED: ";
/// The name a test's thread has where libtest runs one test at a time.
const ONLY_THREAD: &str = "main";

/// What became of the tests of one program, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// How many did what they were to do.
    pub(crate) passed: usize,
    /// The names of those that did not.
    pub(crate) failed: Vec<String>,
    /// The names of those of `passed` that did not at first.
    pub(crate) second: Vec<String>,
    /// The names of those that could not run here, each with its reason.
    pub(crate) skipped: BTreeMap<String, String>,
}

impl Outcome {
    /// Adds another program's.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.second.extend(other.second);
        self.skipped.extend(other.skipped);
    }

    /// Puts the only test of `again` where its second run says: it passes, but not silently, or it stays failed.
    pub(crate) fn retried(&mut self, test: &str, again: &Self) {
        if again.passed == 1 && again.failed.is_empty() {
            self.failed.retain(|failed| failed != test);
            self.passed += 1;
            self.second.push(test.to_owned());
        }
    }

    /// Whether no test was even tried.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed == 0 && self.failed.is_empty() && self.skipped.is_empty()
    }

    /// What was skipped and why, what passed at a second try only, what failed, then `N passed, N failed, N skipped` in a line of its own.
    pub(crate) fn summary(&self) -> String {
        let mut lines = Vec::new();
        if !self.skipped.is_empty() {
            lines.push("skipped:".to_owned());
            lines.extend(self.skipped.iter().map(|(test, reason)| format!("  {test}: {reason}")));
        }
        if !self.second.is_empty() {
            lines.push("passed at a second try only:".to_owned());
            lines.extend(self.second.iter().map(|test| format!("  {test}")));
        }
        if !self.failed.is_empty() {
            lines.push("failed:".to_owned());
            lines.extend(self.failed.iter().map(|test| format!("  {test}")));
        }
        lines.push(self.counts());
        lines.join("\n")
    }

    /// `N passed, N failed, N skipped`.
    pub(crate) fn counts(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}

/// What the output of the test program `name` says.
pub(crate) fn parse(name: &str, lines: &[String], status: ExitStatus) -> Outcome {
    let (mut passed, mut ended) = (0, false);
    let (mut skipped, mut ignored) = (BTreeMap::new(), BTreeMap::new());
    // Whose line it is: the test that began last, or whose captured output is being shown.
    let mut current = "";
    for line in lines {
        if let Some((test, rest)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ")) {
            current = test.trim_end_matches(" - should panic");
            if let Some(reason) = rest.strip_prefix("ignored") {
                let reason = reason.trim_start_matches(", ");
                ignored.insert(current, if reason.is_empty() { "ignored without a reason" } else { reason });
            }
        } else if let Some(test) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----")) {
            current = test;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            ended = true;
            passed += passed_of(result);
        }
        if let Some((test, reason)) = line.split_once(SKIPPED).and_then(|(_, rest)| rest.split_once(": ")) {
            skipped.insert(if test == ONLY_THREAD { current } else { test }, reason);
        }
    }
    let mut outcome =
        Outcome { passed, failed: failures(lines).map(|test| format!("{name} {test}")).collect(), ..Outcome::default() };
    // libtest has counted a test that skipped itself as passed.
    outcome.passed = outcome.passed.saturating_sub(skipped.len());
    for (test, reason) in skipped.into_iter().chain(ignored) {
        outcome.skipped.insert(format!("{name} {test}"), reason.to_owned());
    }
    if outcome.failed.is_empty() && !status.success() {
        outcome.failed.push(format!("{name} as a whole: {status}, last in `{current}`"));
    } else if !ended && status.success() {
        // A program with a `main` of its own is one test.
        outcome.passed += 1;
    }
    outcome
}

/// The names under the `failures:` headings, which libtest indents by four.
fn failures(lines: &[String]) -> impl Iterator<Item = &str> {
    lines
        .split(|line| line == "failures:")
        .skip(1)
        .flat_map(|after| after.iter().take_while(|line| line.starts_with("    ")).map(|line| line.trim()))
}

/// The first number of `ok. 3 passed; 1 failed; 0 ignored; ...`.
fn passed_of(result: &str) -> usize {
    let number = result.split_once(". ").and_then(|(_, counts)| counts.split_once(" passed"));
    number.and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn outcome(output: &str, code: i32) -> Outcome {
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        parse("p/t", &lines, ExitStatus::from_raw(code << 8))
    }

    /// Check the counting of a run of many threads: one passed, one failed, one skipped itself, one was ignored.
    #[test]
    fn a_run_is_counted() {
        let output = "running 4 tests\nSKIPPED: a::skips: needs root\ntest a::skips ... ok\ntest good ... ok\ntest bad ... FAILED\n\
            test slow ... ignored, takes an hour\n\nfailures:\n\n---- bad stdout ----\n    indented text\npanicked\n\n\
            failures:\n    bad\n\ntest result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let outcome = outcome(output, 101);
        assert_eq!((outcome.passed, outcome.failed.as_slice()), (1, ["p/t bad".to_owned()].as_slice()));
        let skipped: Vec<_> = outcome.skipped.iter().map(|(test, reason)| format!("{test}: {reason}")).collect();
        assert_eq!(skipped, ["p/t a::skips: needs root", "p/t slow: takes an hour"]);
        assert!(outcome.summary().ends_with("\n1 passed, 1 failed, 2 skipped"), "{}", outcome.summary());
    }

    /// Check that a skip is tied to its test where libtest runs tests one by one on its main thread.
    #[test]
    fn single_thread_skips() {
        let output = "test first ... SKIPPED: main: no uprobe-multi on 6.1\nok\ntest second ... ok\n\
            test result: ok. 2 passed; 0 failed; 0 ignored\n";
        let outcome = outcome(output, 0);
        assert_eq!(outcome.passed, 1);
        assert_eq!(outcome.skipped.get("p/t first").map(String::as_str), Some("no uprobe-multi on 6.1"));
    }

    /// Check that a skip in a passing test's captured output counts once.
    #[test]
    fn captured_skips() {
        let output = "test b ... ok\n\nsuccesses:\n\n---- b stdout ----\nSKIPPED: b: no sudo\n\n\nsuccesses:\n    b\n\n\
            test result: ok. 1 passed; 0 failed; 0 ignored\n";
        assert_eq!(outcome(output, 0).counts(), "0 passed, 0 failed, 1 skipped");
    }

    /// Check that a second try is told where it passes, and changes nothing where it fails or runs nothing.
    #[test]
    fn second_tries_are_told() {
        let failed = || Outcome { failed: vec!["p/t x".to_owned()], ..Outcome::default() };
        let passed = Outcome { passed: 1, ..Outcome::default() };
        for (again, counts) in [
            (passed, "1 passed, 0 failed, 0 skipped"),
            (failed(), "0 passed, 1 failed, 0 skipped"),
            (Outcome::default(), "0 passed, 1 failed, 0 skipped"),
        ] {
            let mut outcome = failed();
            outcome.retried("p/t x", &again);
            assert_eq!(outcome.counts(), counts);
            assert_eq!(outcome.summary().contains("second try"), counts.starts_with('1'));
        }
    }

    /// Check that a program which dies fails, even with no failed test to show.
    #[test]
    fn a_dead_program_fails() {
        let outcome = outcome("running 1 test\ntest x ... ", 134);
        assert_eq!(outcome.failed, ["p/t as a whole: exit status: 134, last in `x`"]);
    }

    /// Check several results in one output, as documentation tests have, and a program without libtest.
    #[test]
    fn results_add_up() {
        let two = "test result: ok. 2 passed; 0 failed\ntest result: ok. 3 passed; 0 failed\n";
        let mut sum = outcome(two, 0);
        sum.add(outcome("fine\n", 0));
        assert_eq!(sum.summary(), "6 passed, 0 failed, 0 skipped");
    }
}
