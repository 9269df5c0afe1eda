//! What goes into every machine: the init, the test programs without their debug information, and the shared libraries of both.

use super::initramfs::Content;
use crate::chore::command::{cargo, quiet};
use crate::chore::place;
use crate::chore::step::step;
use crate::testing::build;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target by name, so that flags reach the init and not what runs while it is built.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Where the machine finds its tests.
pub(crate) const KERNEL_TESTS: &str = "/kernel";

/// What runs, on the host and in the machines.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The init, linked statically: in the machine there may be no library yet.
    pub(crate) init: PathBuf,
    /// The kernel tests.
    pub(crate) kernel_tests: PathBuf,
}

/// Builds them.
pub(crate) fn programs() -> Result<Programs> {
    let kernel_tests = step("vm: building the kernel tests", || build::whole_test("kernel"))?;
    let init = step("vm: building the init", init)?;
    Ok(Programs { init, kernel_tests })
}

fn init() -> Result<PathBuf> {
    let folder = place::target().join("machine/init");
    let mut command = cargo();
    command.current_dir(place::repository()).args([
        "build",
        "--locked",
        "--package",
        "test-machine",
        "--release",
        "--target",
        TARGET,
    ]);
    command.arg("--target-dir").arg(&folder);
    command.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    quiet(&mut command)?;
    Ok(folder.join(TARGET).join("release/machine-init"))
}

impl Programs {
    /// The files of a machine, but for its plan. `folder` takes what is made of them.
    pub(crate) fn files(&self, folder: &Path) -> Result<Vec<(String, Content)>> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let stripped = folder.join("kernel");
        quiet(Command::new("strip").arg("--strip-debug").arg("-o").arg(&stripped).arg(&self.kernel_tests))?;
        let mut files = vec![
            ("/init".to_owned(), Content::Program(self.init.clone())),
            (KERNEL_TESTS.to_owned(), Content::Program(stripped)),
        ];
        let text = quiet(Command::new("ldd").arg(&self.kernel_tests))?;
        files.extend(libraries(&text).into_iter().map(|path| (path.clone(), Content::Program(path.into()))));
        Ok(files)
    }
}

/// The paths in what ldd prints: each library's, and the loader's, which stands there without an arrow.
fn libraries(text: &str) -> BTreeSet<String> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned);
    text.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that paths are taken, and the vDSO, which has none, is not.
    #[test]
    fn libraries_are_read() {
        let text = "\tlinux-vdso.so.1 (0x00007fc8ef911000)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007fc8eef3e000)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007fc8ef913000)\n";
        let found: Vec<String> = libraries(text).into_iter().collect();
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }
}
