//! `cargo xtask lint`: everything that is checked without running the product.

use super::{build_ebpf, tidy};
use crate::chore::command::{cargo, loud};
use crate::chore::place;
use crate::chore::step::step;
use crate::supply::{advisories, dependencies};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Check everything that can be checked without running the product.
///
/// tidy, formatting of both workspaces, clippy with warnings refused, documentation with warnings refused, licences and sources of dependencies
/// (deny.toml) and what is known to be wrong with them, where that can be asked, and `build-ebpf --check`, which needs the kernel toolchain (see there). All of them run, and all that failed are named at the end.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out `build-ebpf --check`, which takes a toolchain of its own.
    #[arg(long)]
    no_object: bool,
}

/// Runs the verb. `verbs` are all verbs there are.
pub(crate) fn run(arguments: &Arguments, verbs: &[String]) -> Result<()> {
    let mut checks: Vec<(&str, Result<()>)> = vec![
        ("tidy", step("lint: tidy", || tidy::run(verbs))),
        ("fmt", step("lint: formatting", || formatting(place::repository(), &["--all"]))),
        (
            "fmt of the kernel side",
            step("lint: formatting of the kernel side", || formatting(place::repository().join("profiler-ebpf"), &[])),
        ),
        (
            "clippy",
            step("lint: clippy", || {
                loud(repository_cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
            }),
        ),
        ("rustdoc", step("lint: documentation", documentation)),
        ("dependencies", step("lint: licences and sources of dependencies", dependencies::check)),
        ("advisories", step("lint: known vulnerabilities of dependencies", advisories::check)),
    ];
    if !arguments.no_object {
        let check = build_ebpf::Arguments { check: true, accept: false, crate_folder: None };
        checks.push(("build-ebpf --check", build_ebpf::run(&check)));
    }
    let mut failed = Vec::new();
    for (name, outcome) in checks {
        if let Err(error) = outcome {
            eprintln!("error: {name}: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("lint failed: {}", failed.join(", "));
    }
    eprintln!("==> lint: all is well");
    Ok(())
}

fn repository_cargo() -> Command {
    let mut command = cargo();
    command.current_dir(place::repository());
    command
}

/// rustfmt of the pinned toolchain for both workspaces: formatting needs no kernel compiler. `--all` follows path dependencies, which from
/// the kernel side leads back into the other workspace.
fn formatting(workspace: PathBuf, which: &[&str]) -> Result<()> {
    let mut command = cargo();
    loud(command.current_dir(workspace).arg("fmt").args(which).arg("--check"))
}

fn documentation() -> Result<()> {
    let mut command = repository_cargo();
    command.args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    loud(&mut command)
}
