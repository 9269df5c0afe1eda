//! Asking for root, only where it is needed, and saying so.

use super::command::{captured, in_path};
use super::step::note;
use anyhow::{Result, bail};
use std::env;
use std::ffi::{OsStr, OsString};
use std::process::Command;

/// Variables that a program run as root still needs: sudo gives it a new environment, and many a sudoers file refuses `sudo -E`.
const CARRIED: [&str; 6] = ["PATH", "PROFILER_", "CARGO", "RUST", "TERM", "NO_COLOR"];

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    captured(Command::new("id").arg("-u")).is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// `program` as root: itself where we are root, else through sudo, announced with its reason. Of the environment, what the repository's
/// programs read is carried over, and `further` added.
pub(crate) fn as_root(program: impl AsRef<OsStr>, reason: &str, further: &[(&str, &OsStr)]) -> Result<Command> {
    if is_root() {
        let mut command = Command::new(program);
        command.envs(further.iter().copied());
        return Ok(command);
    }
    if in_path("sudo").is_none() {
        bail!("{reason} needs root and there is no sudo; run this as root");
    }
    note(&format!("using sudo: {reason} needs root"));
    let mut command = Command::new("sudo");
    command.arg("env");
    for (name, value) in env::vars_os() {
        if CARRIED.iter().any(|carried| name.to_string_lossy().starts_with(carried)) {
            command.arg(assignment(&name, &value));
        }
    }
    for (name, value) in further {
        command.arg(assignment(OsStr::new(name), value));
    }
    command.arg(program);
    Ok(command)
}

fn assignment(name: &OsStr, value: &OsStr) -> OsString {
    let mut whole = name.to_owned();
    whole.push("=");
    whole.push(value);
    whole
}
