//! The compiler from Debian's packages, unpacked into `target/kernel-toolchain/debian` instead of being installed.
//!
//! Debian's `rustc-web` (the compiler kept fresh for browsers) comes with its library's source (`rust-web-src`) and with the very
//! `libLLVM` it uses as a shared library, which rustup's toolchains have not.

use super::toolchain::Compiler;
use crate::chore::command::{in_path, quiet};
use crate::chore::root::as_root;
use crate::chore::step::{note, step};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is asked for; the rest follows from their dependencies.
const WANTED: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
/// Of their dependencies, those that must be the compiler's own even where the system has some: same release, same LLVM.
const OWN: [&str; 2] = ["libstd-rust-web", "libllvm"];

/// The compiler, unpacked where it was not; nothing where this is no Debian with these packages.
pub(super) fn ready(folder: &Path) -> Result<Option<Compiler>> {
    let root = folder.join("debian");
    if let Ok(compiler) = at(&root.join("usr"))
        && compiler.versions().is_ok()
    {
        return Ok(Some(compiler));
    }
    if ["apt-get", "apt-cache", "dpkg"].iter().any(|program| in_path(program).is_none()) || !packages_known()? {
        return Ok(None);
    }
    let unpacked = step("kernel toolchain: fetching Debian's compiler into target/kernel-toolchain (about 150 MB, once)", || {
        unpack(folder, &root)?;
        let compiler = at(&root.join("usr"))?;
        compiler.versions()?;
        Ok(compiler)
    });
    match unpacked {
        Ok(compiler) => Ok(Some(compiler)),
        Err(error) => {
            note(&format!("unpacking did not work: {error:#}"));
            step("kernel toolchain: installing Debian's compiler into the system instead", install).map(Some)
        }
    }
}

/// The oldest release of the compiler whose LLVM the linker knows. Debian moves the packages forward in its updates, so lists that are some
/// months old name one that will not do.
const OLDEST: (u32, u32) = (1, 96);

/// Whether apt can give the packages, after refreshing its lists where they are empty or old.
fn packages_known() -> Result<bool> {
    if candidate()? {
        return Ok(true);
    }
    step("kernel toolchain: refreshing apt's package lists", || {
        quiet(as_root("apt-get", "apt-get update", &[])?.args(["update", "-q"])).map(drop)
    })?;
    candidate()
}

fn candidate() -> Result<bool> {
    let text = quiet(Command::new("apt-cache").arg("policy").args(WANTED))?;
    Ok(new_enough(&text) == WANTED.len())
}

/// How many packages of `apt-cache policy` can be had in a release that will do.
fn new_enough(policy: &str) -> usize {
    let candidates = policy.lines().filter_map(|line| line.trim().strip_prefix("Candidate:"));
    candidates.filter(|version| release(version.trim()).is_some_and(|release| release >= OLDEST)).count()
}

/// The compiler's release in a package's version: `1.96.0+dfsg1-1~deb12u2`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Downloads and unpacks beside `root`, then moves the result there in one rename.
fn unpack(folder: &Path, root: &Path) -> Result<()> {
    let archives = folder.join("debian-archives");
    let partial = folder.join("debian-partial");
    for old in [root, &partial] {
        remove(old)?;
    }
    fs::create_dir_all(archives.join("partial")).with_context(|| format!("cannot make {}", archives.display()))?;
    // `--reinstall` fetches what is named even where the system has it; what else it needs and the system lacks comes along.
    let mut fetch = Command::new("apt-get");
    fetch.args(["install", "-y", "-q", "--reinstall", "--no-install-recommends", "--download-only"]);
    fetch.args(["-o", "Debug::NoLocking=1", "-o"]).arg(format!("Dir::Cache::archives={}", archives.display()));
    quiet(fetch.args(own_packages()?))?;
    for archive in archives_in(&archives)? {
        quiet(Command::new("dpkg").arg("-x").arg(archive).arg(&partial))?;
    }
    prune(&partial)?;
    fs::rename(&partial, root).with_context(|| format!("cannot move {} to {}", partial.display(), root.display()))?;
    remove(&archives)
}

/// The wanted packages with those of their dependencies that must be their own.
fn own_packages() -> Result<BTreeSet<String>> {
    let mut found: BTreeSet<String> = WANTED.iter().map(|&name| name.to_owned()).collect();
    let mut open: Vec<String> = found.iter().cloned().collect();
    while let Some(package) = open.pop() {
        let text = quiet(Command::new("apt-cache").args(["depends", "--no-recommends", "--no-suggests", &package]))?;
        for name in dependencies(&text) {
            if OWN.iter().any(|own| name.starts_with(own)) && found.insert(name.to_owned()) {
                open.push(name.to_owned());
            }
        }
    }
    Ok(found)
}

/// The names on the `Depends:` lines of `apt-cache depends`.
fn dependencies(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: ")).map(str::trim)
}

fn archives_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            archives.push(path);
        }
    }
    if archives.is_empty() {
        bail!("apt-get fetched no package into {}", folder.display());
    }
    archives.sort();
    Ok(archives)
}

/// Takes away what the kernel side needs nothing of: half of the space is the compiler's own source and its manuals.
fn prune(root: &Path) -> Result<()> {
    remove(&root.join("usr/share/doc"))?;
    remove(&root.join("usr/share/man"))?;
    let sources = root.join("usr/src");
    for entry in fs::read_dir(&sources).with_context(|| format!("no library source in {}", sources.display()))? {
        let source = entry?.path();
        for part in ["compiler", "src", "tests", "debian"] {
            remove(&source.join(part))?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The last resort: the packages installed as any others. Nothing is removed for them.
fn install() -> Result<Compiler> {
    let mut apt = as_root("apt-get", "apt-get install", &[])?;
    apt.args(["install", "-y", "-q", "--no-install-recommends", "--no-remove"]).args(own_packages()?);
    quiet(&mut apt)
        .context("Debian's rustc-web could be neither unpacked nor installed; install rustc-web, cargo-web, rust-web-src")?;
    at(Path::new("/usr"))
}

/// The compiler of an unpacked (or installed) `usr` folder.
fn at(usr: &Path) -> Result<Compiler> {
    let libraries = usr.join("lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let compiler = Compiler {
        rustc: usr.join("bin/rustc"),
        cargo: usr.join("bin/cargo"),
        libraries: (usr != Path::new("/usr")).then(|| libraries.clone()),
        llvm: libraries,
    };
    for file in [&compiler.rustc, &compiler.cargo, &usr.join("lib/rustlib/src/rust/library/core/src/lib.rs")] {
        if !file.exists() {
            bail!("{} is missing", file.display());
        }
    }
    Ok(compiler)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that real dependencies are read, alternatives included, and conflicts are not.
    #[test]
    fn apt_output_is_read() {
        let text = "libstd-rust-web-dev\n  Depends: libstd-rust-web-1.96\n |Depends: gcc\n  Conflicts: <rustup>\n  Depends: <libc-dev>\n    libc6-dev\n";
        let names: Vec<&str> = dependencies(text).collect();
        assert_eq!(names, ["libstd-rust-web-1.96", "gcc", "<libc-dev>"]);
    }

    /// Check that old lists, and lists without the packages, are told from good ones.
    #[test]
    fn old_candidates_do_not_count() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.85.0+dfsg3-1~deb12u3\ncargo-web:\n  Candidate: (none)\nrust-web-src:\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
        assert_eq!(new_enough(policy), 1);
        assert_eq!(new_enough(""), 0);
    }

    /// Check that a folder without a compiler says which file is missing.
    #[test]
    fn missing_compiler_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = at(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("bin/rustc is missing"), "{error}");
    }
}
