//! Known vulnerabilities of dependencies: what cargo-deny or cargo-audit says, where one of them is installed and their database can be
//! reached. Elsewhere that is said, and nothing fails.

use crate::chore::command::{captured, cargo, in_path};
use crate::chore::place;
use crate::chore::step::{note, notes};
use anyhow::{Result, bail};

/// Each program, with its words and what it says where it has no database.
const PROGRAMS: [(&str, &[&str], &str); 2] = [
    ("cargo-deny", &["deny", "check", "advisories"], "failed to fetch advisory database"),
    ("cargo-audit", &["audit"], "couldn't fetch advisory database"),
];

/// Asks the first that is there.
pub(crate) fn check() -> Result<()> {
    let Some((program, words, unreachable)) = PROGRAMS.into_iter().find(|(program, ..)| in_path(program).is_some()) else {
        note("SKIPPED: advisories: neither cargo-deny nor cargo-audit is installed (cargo install --locked cargo-deny)");
        return Ok(());
    };
    let mut command = cargo();
    let output = captured(command.current_dir(place::repository()).args(words))?;
    if output.status.success() {
        note(&format!("{program} knows of nothing"));
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.contains(unreachable) {
        note(&format!("SKIPPED: advisories: {program} cannot reach its database"));
        return Ok(());
    }
    notes(&text.lines().map(str::to_owned).collect::<Vec<_>>());
    bail!("{program} knows of something, or failed; its words stand above");
}
