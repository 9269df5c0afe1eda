//! bpf-linker, built from crates.io against the `libLLVM` that the compiler itself uses: it reads the compiler's bitcode, and a
//! mismatch gives unreadable or silently broken type information (bpf-linker issues 318 and 387).

use super::toolchain::Compiler;
use crate::chore::command::quiet;
use crate::chore::step::step;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The pinned version.
pub(super) const VERSION: &str = "0.13.0";
/// The LLVM majors that this version has a feature for.
const MAJORS: [&str; 3] = ["21", "22", "23"];

/// The folder that holds `bpf-linker`, built where it was not or where the LLVM changed.
pub(super) fn ready(folder: &Path, compiler: &Compiler, llvm: &str) -> Result<PathBuf> {
    let root = folder.join("bpf-linker");
    let binary = root.join("bin/bpf-linker");
    let stamp = root.join("stamp");
    let wanted = format!("bpf-linker {VERSION}, LLVM {llvm} in {}\n", compiler.llvm.display());
    let runs = || quiet(compiler.command(&binary).arg("--version")).is_ok();
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && runs() {
        return Ok(root.join("bin"));
    }
    step(&format!("kernel toolchain: building bpf-linker {VERSION} against LLVM {llvm} (about a minute, once)"), || {
        let prefix = folder.join("llvm");
        let major = llvm_major(llvm)?;
        link_llvm(&compiler.llvm, &prefix.join("lib"), major)?;
        let mut install = compiler.command(&compiler.cargo);
        install.args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force", "--no-default-features"]);
        install.args(["--features", &format!("llvm-{major}"), "--root"]).arg(&root);
        install.arg("--target-dir").arg(folder.join("bpf-linker-build"));
        quiet(install.env("LLVM_PREFIX", &prefix))?;
        if !runs() {
            bail!("{} was built but does not run", binary.display());
        }
        fs::write(&stamp, &wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        fs::remove_dir_all(folder.join("bpf-linker-build")).ok();
        Ok(())
    })?;
    Ok(root.join("bin"))
}

fn llvm_major(llvm: &str) -> Result<&str> {
    let major = llvm.split('.').next().unwrap_or_default();
    if !MAJORS.contains(&major) {
        bail!("the compiler uses LLVM {llvm}, and bpf-linker {VERSION} knows only {}", MAJORS.join(", "));
    }
    Ok(major)
}

/// Makes `to` a folder with the names under which bpf-linker's build and its run path look for LLVM.
fn link_llvm(from: &Path, to: &Path, major: &str) -> Result<()> {
    let mut libraries = Vec::new();
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("libLLVM.so.{major}")) {
            libraries.push(name);
        }
    }
    libraries.sort();
    let Some(library) = libraries.first() else { bail!("no libLLVM.so.{major}* in {}", from.display()) };
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for name in ["libLLVM.so", library] {
        let link = to.join(name);
        fs::remove_file(&link).ok();
        symlink(from.join(library), &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that both names that are looked for are made, and that a missing library is named.
    #[test]
    fn llvm_is_linked() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        let error = link_llvm(&from, &to, "22").unwrap_err();
        assert!(error.to_string().starts_with("no libLLVM.so.22* in"), "{error}");
        fs::write(from.join("libLLVM.so.22.1"), "x").unwrap();
        link_llvm(&from, &to, "22").unwrap();
        for name in ["libLLVM.so", "libLLVM.so.22.1"] {
            assert_eq!(fs::read_to_string(to.join(name)).unwrap(), "x");
        }
    }

    /// Check that a compiler too new or too old for the linker is refused in words.
    #[test]
    fn unknown_llvm_is_refused() {
        assert_eq!(llvm_major("22.1.8").unwrap(), "22");
        assert!(llvm_major("24.0.0").unwrap_err().to_string().contains("knows only 21, 22, 23"));
    }
}
