//! Kernels from Debian's packages: the newest of a series that apt knows, unpacked once into `target/machine/kernels`.
//!
//! The cloud kernels have what is needed built in: BTF, uprobes, a serial console, an initramfs.

use crate::chore::command::{captured, in_path, quiet};
use crate::chore::place;
use crate::chore::root::as_root;
use crate::chore::step::{note, step};
use anyhow::{Context, Result};
use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the packages' names begin and end with; between them stands the release.
const BEGIN: &str = "linux-image-";
const END: &str = "-cloud-amd64";

/// A kernel that can be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// The release, as the package's name tells it: `6.1.0-56`.
    pub(crate) release: String,
    /// The compressed kernel.
    pub(crate) image: PathBuf,
}

/// The newest kernel of `series` (`6.1`), or why there is none here.
pub(crate) fn newest(series: &str) -> Result<Result<Kernel, String>> {
    if let Some(program) = ["apt-get", "apt-cache", "dpkg"].into_iter().find(|program| in_path(program).is_none()) {
        return Ok(Err(format!("its package comes by apt, and there is no {program}")));
    }
    let Some(package) = known(series)? else {
        return Ok(Err(format!("apt knows no package {BEGIN}{series}*{END}")));
    };
    let folder = folder().join(&package);
    if let Some(kernel) = unpacked(&folder, &package) {
        return Ok(Ok(kernel));
    }
    match step(&format!("vm: fetching {package}"), || fetch(&package, &folder)) {
        Ok(()) => Ok(unpacked(&folder, &package).ok_or_else(|| format!("{package} holds no boot/vmlinuz-*"))),
        Err(error) => Ok(Err(format!("{package} cannot be had: {error:#}"))),
    }
}

fn folder() -> PathBuf {
    place::target().join("machine/kernels")
}

/// The newest package that apt's lists know; they are refreshed where they know none.
fn known(series: &str) -> Result<Option<String>> {
    let list = || -> Result<Option<String>> {
        let text = quiet(Command::new("apt-cache").args(["pkgnames", &format!("{BEGIN}{series}.")]))?;
        Ok(newest_of(&text))
    };
    if let Some(package) = list()? {
        return Ok(Some(package));
    }
    // Lists may be empty on a new machine. Without root, or without a network, what is known stays as it is.
    let refreshed = as_root("apt-get", "apt-get update", &[]).and_then(|mut apt| captured(apt.args(["update", "-q"])));
    if let Err(error) = refreshed {
        note(&format!("apt's lists are not refreshed: {error:#}"));
    }
    list()
}

/// The newest of the names, by their numbers.
fn newest_of(names: &str) -> Option<String> {
    let cloud = names.lines().map(str::trim).filter(|name| release(name).is_some());
    cloud.max_by(|one, other| by_numbers(one, other)).map(str::to_owned)
}

/// The release in a package's name; nothing for debug symbols, unsigned images, and other flavours.
fn release(package: &str) -> Option<&str> {
    let release = package.strip_prefix(BEGIN)?.strip_suffix(END)?;
    release.starts_with(|letter: char| letter.is_ascii_digit()).then_some(release)
}

fn by_numbers(one: &str, other: &str) -> Ordering {
    let numbers = |name: &str| -> Vec<u64> {
        name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
    };
    numbers(one).cmp(&numbers(other)).then_with(|| one.cmp(other))
}

fn unpacked(folder: &Path, package: &str) -> Option<Kernel> {
    let entries = fs::read_dir(folder.join("boot")).ok()?;
    let image = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")))?;
    Some(Kernel { release: release(package)?.to_owned(), image })
}

/// Downloads the package and unpacks its kernel; modules are not needed. What is half done has another name.
fn fetch(package: &str, folder: &Path) -> Result<()> {
    let partial = folder.with_extension("partial");
    let tree = partial.join("tree");
    drop(fs::remove_dir_all(&partial));
    fs::create_dir_all(&tree).with_context(|| format!("cannot make {}", tree.display()))?;
    quiet(Command::new("apt-get").args(["download", "-q", package]).current_dir(&partial))?;
    let archive = fs::read_dir(&partial)
        .with_context(|| format!("cannot read {}", partial.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no package")?;
    quiet(Command::new("dpkg").arg("-x").arg(archive).arg(&tree))?;
    for part in ["lib", "usr"] {
        drop(fs::remove_dir_all(tree.join(part)));
    }
    fs::rename(&tree, folder).with_context(|| format!("cannot move {} to {}", tree.display(), folder.display()))?;
    fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the newest is chosen by number, and that neither symbols nor other flavours are taken.
    #[test]
    fn newest_is_by_number() {
        let names = "linux-image-6.12.9+deb12-cloud-amd64\nlinux-image-6.12.117+deb12-cloud-amd64\nlinux-image-6.12.100+deb12-cloud-amd64\n\
            linux-image-6.12.118+deb12-cloud-amd64-dbg\nlinux-image-6.12.119+deb12-amd64\nlinux-image-6.12.120+deb12-cloud-amd64-unsigned\n";
        assert_eq!(newest_of(names).as_deref(), Some("linux-image-6.12.117+deb12-cloud-amd64"));
        assert_eq!(
            newest_of("linux-image-6.1.0-9-cloud-amd64\nlinux-image-6.1.0-56-cloud-amd64"),
            Some("linux-image-6.1.0-56-cloud-amd64".to_owned())
        );
        assert_eq!(newest_of(""), None);
    }

    /// Check that a release is read from a name.
    #[test]
    fn releases_are_read() {
        assert_eq!(release("linux-image-6.1.0-56-cloud-amd64"), Some("6.1.0-56"));
        assert_eq!(release("linux-image-cloud-amd64"), None);
    }
}
