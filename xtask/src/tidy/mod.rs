//! The rules of the repository, each a function from files to findings. What a compiler or clippy can say is not repeated here.

pub(crate) mod documents;
pub(crate) mod file;
pub(crate) mod layers;
pub(crate) mod machine;
pub(crate) mod shape;

use file::File;
use std::fmt;

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The file, relative to the repository.
    pub(crate) path: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub(crate) line: usize,
    /// What is wrong, and what to do.
    pub(crate) message: String,
    /// Whether it only asks for attention.
    pub(crate) warning: bool,
}

impl Finding {
    fn new(file: &File, line: usize, message: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, message: message.into(), warning: false }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, message, warning } = self;
        let kind = if *warning { "warning" } else { "error" };
        if *line == 0 { write!(out, "{path}: {kind}: {message}") } else { write!(out, "{path}:{line}: {kind}: {message}") }
    }
}

/// Every finding of every rule. `verbs` are the verbs of `cargo xtask`.
pub(crate) fn findings(files: &[File], verbs: &[String]) -> Vec<Finding> {
    let mut found: Vec<Finding> = files.iter().flat_map(shape::check).collect();
    found.extend(files.iter().flat_map(machine::check));
    found.extend(files.iter().flat_map(layers::check));
    found.extend(documents::check(files, verbs));
    found
}

/// A file of a test.
#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

/// `line: message` of each finding.
#[cfg(test)]
fn told(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
}
