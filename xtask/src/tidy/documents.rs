//! What the documents promise: a changelog that is kept, verbs that exist, a `no_std` crate that is one.

use super::Finding;
use super::file::File;

/// The documents that tell people what to run.
const GUIDES: [&str; 3] = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"];
const CALL: &str = "cargo xtask ";

/// Checks the repository as a whole.
pub(super) fn check(files: &[File], verbs: &[String]) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(has(
        files,
        "CHANGELOG.md",
        "Unreleased",
        "has no `Unreleased` section: tell there what a change does for users",
    ));
    found.extend(has(files, "profiler-common/src/lib.rs", "#![no_std]", "is not `no_std`: the kernel side could not use it"));
    for guide in files.iter().filter(|file| GUIDES.contains(&file.path.as_str())) {
        for (line, text) in guide.lines() {
            for verb in called(text).filter(|verb| !verbs.iter().any(|known| known == verb)) {
                found.push(Finding::new(
                    guide,
                    line,
                    format!("`cargo xtask {verb}` does not exist; there are {}", verbs.join(", ")),
                ));
            }
        }
    }
    found
}

/// A finding where `path` is missing or does not contain `needed` in a line's begin, headings included.
fn has(files: &[File], path: &str, needed: &str, message: &str) -> Option<Finding> {
    let begins = |line: &str| line.trim_start_matches(['#', ' ', '[']).starts_with(needed.trim_start_matches('#'));
    match files.iter().find(|file| file.path == path) {
        Some(file) if file.text.lines().any(begins) => None,
        Some(file) => Some(Finding::new(file, 0, message)),
        None => Some(Finding { path: path.to_owned(), line: 0, message: "is missing".to_owned(), warning: false }),
    }
}

/// The verbs that a line calls; `VERB` and options stand for any.
fn called(text: &str) -> impl Iterator<Item = &str> {
    text.split(CALL).skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '-').unwrap_or(rest.len());
        rest.get(..end).filter(|verb| !verb.is_empty() && !verb.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{file, told};
    use super::*;

    fn repository(changelog: &str, common: &str, readme: &str) -> Vec<String> {
        let files = [file("CHANGELOG.md", changelog), file("profiler-common/src/lib.rs", common), file("README.md", readme)];
        told(&check(&files, &["demo".to_owned(), "test".to_owned(), "help".to_owned()]))
    }

    /// Check that a kept repository passes, however its changelog writes the heading.
    #[test]
    fn kept_documents_pass() {
        for heading in ["## Unreleased", "## [Unreleased]"] {
            let readme = "Run `cargo xtask demo`, then `cargo xtask test --filter x`; `cargo xtask VERB --help` tells more.";
            assert!(repository(heading, "//! X.\n#![no_std]\n", readme).is_empty());
        }
    }

    /// Check that each broken promise is found.
    #[test]
    fn broken_promises_are_found() {
        assert!(repository("## 0.1.0", "#![no_std]", "").join("").contains("no `Unreleased` section"));
        assert!(repository("## Unreleased", "//! X.", "").join("").contains("not `no_std`"));
        assert_eq!(
            repository("## Unreleased", "#![no_std]", "\ncargo xtask dmo\n"),
            ["2: `cargo xtask dmo` does not exist; there are demo, test, help"]
        );
        assert_eq!(told(&check(&[], &[])), ["0: is missing", "0: is missing"]);
    }
}
