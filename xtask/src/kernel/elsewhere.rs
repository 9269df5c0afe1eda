//! The compiler where there is no Debian: rustup's, with `rust-src`, and an LLVM of the same major version that the user has.

use super::toolchain::Compiler;
use crate::chore::command::{captured, in_path, quiet};
use crate::chore::step::{note, step};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// The channel that serves where the repository's own pin cannot take `rust-src`.
const SECOND_CHANNEL: &str = "nightly";

/// rustup's compiler with `rust-src`, added where it was not.
pub(super) fn ready() -> Result<Compiler> {
    if in_path("rustup").is_none() {
        bail!(
            "the kernel side needs a Rust compiler with its library's source: install rustup, or use a Debian that has rustc-web"
        );
    }
    let pinned = pinned_channel(include_str!("../../../rust-toolchain.toml"))?;
    for channel in [pinned, SECOND_CHANNEL] {
        let added = step(&format!("kernel toolchain: rustup component add rust-src --toolchain {channel}"), || {
            quiet(Command::new("rustup").args(["component", "add", "rust-src", "--toolchain", channel]))
        });
        match added {
            Ok(_) => return compiler(channel),
            Err(error) => note(&format!("{error:#}")),
        }
    }
    bail!("rustup could add rust-src neither to {pinned} nor to {SECOND_CHANNEL}; add it by hand and run this again")
}

/// The channel that `rust-toolchain.toml` names.
fn pinned_channel(toml: &str) -> Result<&str> {
    let line = toml.lines().find_map(|line| line.trim().strip_prefix("channel"));
    line.and_then(|rest| rest.split('"').nth(1)).context("rust-toolchain.toml names no channel")
}

fn compiler(channel: &str) -> Result<Compiler> {
    let which = |tool: &str| -> Result<PathBuf> {
        Ok(PathBuf::from(quiet(Command::new("rustup").args(["which", "--toolchain", channel, tool]))?.trim()))
    };
    let mut compiler = Compiler { rustc: which("rustc")?, cargo: which("cargo")?, libraries: None, llvm: PathBuf::new() };
    let (_, llvm) = compiler.versions()?;
    compiler.llvm = llvm_folder(llvm.split('.').next().unwrap_or(&llvm))?;
    Ok(compiler)
}

/// The folder of the system's `libLLVM` of that major version: bpf-linker must read what the compiler wrote.
fn llvm_folder(major: &str) -> Result<PathBuf> {
    if let Some(prefix) = std::env::var_os("LLVM_PREFIX") {
        return Ok(PathBuf::from(prefix).join("lib"));
    }
    for name in [format!("llvm-config-{major}"), "llvm-config".to_owned()] {
        let Ok(output) = captured(Command::new(&name).args(["--version", "--libdir"])) else { continue };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines();
        if lines.next().is_some_and(|version| version.starts_with(&format!("{major}."))) {
            return lines.next().map(PathBuf::from).context("llvm-config names no library folder");
        }
    }
    bail!(
        "bpf-linker needs LLVM {major}, the compiler's own: install llvm-{major}, or set LLVM_PREFIX to a folder whose lib/ has it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the repository's own file is understood.
    #[test]
    fn pin_is_read() {
        let channel = pinned_channel(include_str!("../../../rust-toolchain.toml")).unwrap();
        assert!(channel.starts_with("1."), "{channel}");
        assert!(pinned_channel("[toolchain]").is_err());
    }
}
