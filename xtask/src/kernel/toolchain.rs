//! The compiler for the kernel side. The target `bpfel-unknown-none` has no prebuilt `core`, so it takes a compiler with its own
//! library's source. Everything lives in `target/kernel-toolchain`; nothing is installed over the system where that can be avoided.

use super::{bpf_linker, debian, elsewhere};
use crate::chore::command::quiet;
use crate::chore::place;
use anyhow::{Context, Result};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler, its cargo and its library source, not yet with a linker.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    /// `rustc` itself.
    pub(crate) rustc: PathBuf,
    /// The cargo of the same release.
    pub(crate) cargo: PathBuf,
    /// Where the two find their shared libraries, where the system's linker does not know.
    pub(crate) libraries: Option<PathBuf>,
    /// The folder with the `libLLVM.so.N` that the compiler uses and bpf-linker must use too.
    pub(crate) llvm: PathBuf,
}

/// A whole toolchain.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// The compiler.
    pub(crate) compiler: Compiler,
    /// The folder that holds `bpf-linker`.
    pub(crate) linker_folder: PathBuf,
    /// What built the object, for the manifest.
    pub(crate) versions: Versions,
}

/// Versions that, when equal, make equal objects.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Versions {
    /// First line of `rustc --version`.
    pub(crate) rustc: String,
    /// The LLVM in that rustc.
    pub(crate) llvm: String,
    /// The version of bpf-linker.
    pub(crate) bpf_linker: String,
}

/// The folder of the toolchain.
pub(crate) fn folder() -> PathBuf {
    place::target().join("kernel-toolchain")
}

/// The toolchain, installed where it was not.
pub(crate) fn ready() -> Result<Toolchain> {
    let folder = folder();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let compiler = match debian::ready(&folder)? {
        Some(compiler) => compiler,
        None => elsewhere::ready()?,
    };
    let (rustc, llvm) = compiler.versions()?;
    let linker_folder = bpf_linker::ready(&folder, &compiler, &llvm)?;
    let versions = Versions { rustc, llvm, bpf_linker: bpf_linker::VERSION.to_owned() };
    Ok(Toolchain { compiler, linker_folder, versions })
}

impl Compiler {
    /// `program` with an environment in which only this compiler is found: what cargo, rustup or the user set for the compiler of the user
    /// space is taken away.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            if is_of_another_compiler(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        let mut path: Vec<PathBuf> = self.rustc.parent().map(Path::to_path_buf).into_iter().collect();
        path.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
        command.env("PATH", env::join_paths(path).unwrap_or_default());
        command.env("RUSTC", &self.rustc);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// The compiler's own version line and that of its LLVM; an error when it cannot run.
    pub(crate) fn versions(&self) -> Result<(String, String)> {
        let text = quiet(self.command(&self.rustc).arg("-vV"))?;
        quiet(self.command(&self.cargo).arg("-V"))?;
        let first = text.lines().next().context("rustc -vV wrote nothing")?;
        let llvm = text.lines().find_map(|line| line.strip_prefix("LLVM version: ")).context("rustc -vV names no LLVM")?;
        Ok((first.to_owned(), llvm.to_owned()))
    }

    /// The folder that the compiler calls its sysroot.
    pub(crate) fn sysroot(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(quiet(self.command(&self.rustc).args(["--print", "sysroot"]))?.trim()))
    }
}

/// Whether a variable speaks of the compiler or the package that runs this xtask. Where cargo keeps its registry and how it reaches
/// it stays.
fn is_of_another_compiler(name: &str) -> bool {
    let kept = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_", "RUST_BACKTRACE"];
    (name.starts_with("CARGO") || name.starts_with("RUST")) && !kept.iter().any(|prefix| name.starts_with(prefix))
}

/// Where cargo keeps its registry.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home: OsString = env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cargo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the user's registry settings reach the kernel build and the user's compiler settings do not.
    #[test]
    fn environment_is_cleaned() {
        for name in ["CARGO", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "CARGO_TARGET_DIR"] {
            assert!(is_of_another_compiler(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_REGISTRIES_MINE_TOKEN", "CARGO_HTTP_PROXY", "PATH", "CARGO_NET_OFFLINE"] {
            assert!(!is_of_another_compiler(name), "{name}");
        }
    }
}
