//! `deny.toml`, as far as it is checked without cargo-deny.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;

/// What is allowed.
#[derive(Debug, Deserialize)]
pub(crate) struct Policy {
    pub(super) licenses: Licences,
    pub(super) sources: Sources,
    pub(super) bans: Bans,
}

#[derive(Debug, Deserialize)]
pub(super) struct Licences {
    pub(super) allow: Vec<String>,
    #[serde(default)]
    pub(super) exceptions: Vec<Exception>,
}

/// A licence that one crate may have.
#[derive(Debug, Deserialize)]
pub(super) struct Exception {
    #[serde(rename = "crate")]
    pub(super) name: String,
    pub(super) allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Sources {
    pub(super) allow_registry: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Bans {
    #[serde(default)]
    pub(super) deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Banned {
    #[serde(rename = "crate")]
    pub(super) name: String,
}

impl Policy {
    /// That of a repository.
    pub(crate) fn read(repository: &Path) -> Result<Self> {
        let path = repository.join("deny.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} does not read as cargo-deny's settings", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the repository's own can be read.
    #[test]
    fn ours_is_read() {
        let policy = Policy::read(&crate::chore::place::repository()).unwrap();
        assert!(policy.licenses.allow.iter().any(|name| name == "MIT"));
        assert_eq!(policy.sources.allow_registry.len(), 1);
    }
}
