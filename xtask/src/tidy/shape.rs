//! What a source file looks like: documented, short, named for what it holds, without stray spaces and without bare `allow`.

use super::Finding;
use super::file::File;

/// Above this a file is asked to be split.
const LONG: usize = 400;
/// Above this it must be.
const TOO_LONG: usize = 600;
/// The same for tests, which are many small things in a row.
const TOO_LONG_TEST: usize = 1000;
/// Names that say nothing, and so gather everything.
const CATCH_ALL: [&str; 10] = ["util", "utils", "helper", "helpers", "manager", "managers", "misc", "common", "shared", "stuff"];
/// Generated or foreign formats, in which a space at a line's end may mean something. In Rust, only comments are checked: rustfmt sees to
/// code, and a literal may hold what the kernel writes, spaces at line ends included.
const NOT_OURS: [&str; 4] = ["svg", "lock", "snap", "patch"];

/// Checks one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    if !NOT_OURS.iter().any(|extension| file.has_extension(extension)) {
        let ours = |line: &str| !file.is_rust() || line.trim_start().starts_with("//");
        let stray = file.lines().filter(|(_, line)| line.ends_with([' ', '\t', '\r']) && ours(line));
        found.extend(stray.map(|(line, _)| Finding::new(file, line, "spaces at the end of the line")));
    }
    if file.is_rust() {
        found.extend(documentation(file));
        found.extend(length(file));
        found.extend(name(file));
        found.extend(bare_allow(file));
    }
    found
}

/// The first line that is no comment or attribute of the crate must be the module's own documentation.
fn documentation(file: &File) -> Option<Finding> {
    let first = file.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!") && !is_comment(line));
    let documented = first.is_some_and(|line| line.starts_with("//!"));
    (!documented).then(|| Finding::new(file, 1, "the module does not begin with `//!` documentation: say what it holds, and why"))
}

fn is_comment(line: &str) -> bool {
    line.starts_with("//") && !line.starts_with("//!")
}

fn length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let limit = if is_test(&file.path) { TOO_LONG_TEST } else { TOO_LONG };
    let message = format!("{lines} lines; a file is one idea: split it (asked for above {LONG}, refused above {limit})");
    if lines > limit {
        Some(Finding::new(file, 0, message))
    } else if lines > LONG && limit == TOO_LONG {
        Some(Finding { warning: true, ..Finding::new(file, 0, message) })
    } else {
        None
    }
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// Of a module's file and of the folder that it is the root of, neither may be a catch-all.
fn name(file: &File) -> Option<Finding> {
    let words: Vec<&str> = file.path.trim_end_matches(".rs").split('/').collect();
    let inside = words.iter().position(|&word| word == "src").map_or(0, |at| at + 1);
    let bad = words.iter().skip(inside).find(|word| CATCH_ALL.contains(word))?;
    Some(Finding::new(file, 0, format!("`{bad}` names no idea; name the module for what it holds")))
}

fn bare_allow(file: &File) -> Vec<Finding> {
    let bare = |line: &str| line.trim_start().starts_with("#[allow") || line.trim_start().starts_with("#![allow");
    let message = "`allow` stays when its reason is gone; write `#[expect(lint, reason = \"...\")]`";
    file.lines().filter(|(_, line)| bare(line)).map(|(line, _)| Finding::new(file, line, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{file, told};
    use super::*;

    /// Check that a good file passes, licence comments and crate attributes before the documentation included.
    #[test]
    fn good_files_pass() {
        assert!(check(&file("a/src/lib.rs", "// SPDX\n#![no_std]\n//! What.\nfn a() {}\n")).is_empty());
        assert!(check(&file("profiler-common/src/clock.rs", "//! What.\n")).is_empty());
    }

    /// Check each rule on the smallest breach.
    #[test]
    fn breaches_are_found() {
        assert!(told(&check(&file("a/src/b.rs", "fn a() {}\n"))).join("").contains("does not begin with"));
        assert!(told(&check(&file("a/src/b.rs", "/// Of an item.\nfn a() {}\n"))).join("").contains("does not begin with"));
        assert_eq!(told(&check(&file("README.md", "one\ntwo \n"))), ["2: spaces at the end of the line"]);
        assert_eq!(
            told(&check(&file("a/src/b.rs", "//! X. \nconst A: &str = \"kernel \n\";\n"))),
            ["1: spaces at the end of the line"]
        );
        assert!(told(&check(&file("a/src/utils.rs", "//! X.\n"))).join("").contains("`utils` names no idea"));
        assert!(told(&check(&file("a/src/helpers/mod.rs", "//! X.\n"))).join("").contains("`helpers` names no idea"));
        assert!(told(&check(&file("a/src/b.rs", "//! X.\n#[allow(x)]\n"))).join("").starts_with("2: `allow` stays"));
    }

    /// Check the two limits, and that tests have a wider one.
    #[test]
    fn long_files_are_found() {
        let lines = |count: usize| format!("//! X.\n{}", "//\n".repeat(count - 1));
        let warnings =
            |path: &str, count| check(&file(path, &lines(count))).iter().map(|finding| finding.warning).collect::<Vec<_>>();
        assert!(warnings("a/src/b.rs", 400).is_empty());
        assert_eq!(warnings("a/src/b.rs", 401), [true]);
        assert_eq!(warnings("a/src/b.rs", 601), [false]);
        assert!(warnings("tests/kernel/b.rs", 1000).is_empty());
        assert_eq!(warnings("tests/kernel/b.rs", 1001), [false]);
    }
}
