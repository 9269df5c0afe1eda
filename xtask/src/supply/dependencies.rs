//! Every dependency of every workspace against the policy.

use super::licence;
use super::policy::Policy;
use crate::chore::command::{cargo, quiet};
use crate::chore::place;
use crate::chore::step::{note, notes};
use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Folders with a lock file of their own that end in what is shipped or run.
const WORKSPACES: [&str; 4] = ["", "profiler-ebpf", "fuzz", "tests/labels-fixture"];

/// A package, as `cargo metadata` tells of it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Where it is from; none for our own.
    source: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Checks all.
pub(crate) fn check() -> Result<()> {
    let policy = Policy::read(&place::repository())?;
    let mut wrong = Vec::new();
    let mut count = 0;
    for workspace in WORKSPACES {
        let manifest = place::repository().join(workspace).join("Cargo.toml");
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1", "--locked", "--manifest-path"]).arg(&manifest);
        let told: Metadata = serde_json::from_str(&quiet(&mut command)?).context("cargo metadata does not read as expected")?;
        count += told.packages.len();
        wrong.extend(told.packages.iter().flat_map(|package| findings(package, &policy)));
    }
    wrong.sort();
    wrong.dedup();
    notes(&wrong);
    if !wrong.is_empty() {
        bail!("{} dependencies are not as deny.toml allows", wrong.len());
    }
    note(&format!("{count} packages of {} workspaces", WORKSPACES.len()));
    Ok(())
}

fn findings(package: &Package, policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: String| found.push(format!("{} {}: {what}", package.name, package.version));
    let allowed = |name: &str| {
        let excepted = policy.licenses.exceptions.iter().filter(|exception| exception.name == package.name);
        policy.licenses.allow.iter().chain(excepted.flat_map(|exception| &exception.allow)).any(|allowed| allowed == name)
    };
    match &package.license {
        Some(expression) if licence::is_allowed(expression, &allowed) => {}
        Some(expression) => say(format!("the licence `{expression}` is not allowed")),
        None => say("it names no licence".to_owned()),
    }
    if let Some(source) = &package.source
        && !policy.sources.allow_registry.iter().any(|registry| source.strip_prefix("registry+") == Some(registry))
    {
        say(format!("the source {source} is not allowed"));
    }
    if policy.bans.deny.iter().any(|banned| banned.name == package.name) {
        say("it is banned".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        toml::from_str(
            "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"odd\", allow = [\"CDDL-1.0\"] }]\n[sources]\nallow-registry = \
             [\"https://x\"]\n[bans]\ndeny = [{ crate = \"bad\" }]",
        )
        .unwrap()
    }

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Package { name: name.to_owned(), version: "1.0.0".to_owned(), license: owned(license), source: owned(source) }
    }

    /// Check what is let through, and that each fault is told.
    #[test]
    fn each_fault_is_told() {
        let of = |name, license, source| findings(&package(name, license, source), &policy());
        assert_eq!(of("a", Some("MIT OR X"), Some("registry+https://x")), Vec::<String>::new());
        assert_eq!(of("odd", Some("CDDL-1.0"), None), Vec::<String>::new());
        assert_eq!(of("a", Some("CDDL-1.0"), None), ["a 1.0.0: the licence `CDDL-1.0` is not allowed"]);
        assert_eq!(of("a", None, None), ["a 1.0.0: it names no licence"]);
        assert_eq!(of("bad", Some("MIT"), None), ["bad 1.0.0: it is banned"]);
        let git = "git+https://y#1";
        assert_eq!(of("a", Some("MIT"), Some(git)), [format!("a 1.0.0: the source {git} is not allowed")]);
    }
}
