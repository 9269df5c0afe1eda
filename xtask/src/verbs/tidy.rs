//! `cargo xtask tidy`: the rules of the repository.

use crate::tidy::{file, findings};
use anyhow::{Result, bail};

/// Check the rules of the repository that no compiler checks.
///
/// Every module begins with documentation; files stay short (400 lines warn, 600 fail, 1000 for tests) and are named for what they hold;
/// no stray spaces, no bare `allow`; the daemon's folders know only the steps before them (the table stands in xtask/src/tidy/layers.rs);
/// no folder or registry of one machine; a changelog with an Unreleased section; documents name only verbs that exist. Each finding is
/// FILE:LINE and what to do. CONTRIBUTING.md tells the reasons.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Runs the verb. `verbs` are all verbs there are.
pub(crate) fn run(verbs: &[String]) -> Result<()> {
    let files = file::all()?;
    let found = findings(&files, verbs);
    for finding in &found {
        eprintln!("{finding}");
    }
    let errors = found.iter().filter(|finding| !finding.warning).count();
    if errors > 0 {
        bail!("tidy found {errors} breaches of the repository's rules in {} files; each line above says what to do", files.len());
    }
    eprintln!("==> tidy: {} files keep the rules", files.len());
    Ok(())
}
