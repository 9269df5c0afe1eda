//! One compilation of the kernel side, made so that equal sources give equal bytes in any folder.

use super::toolchain::{Toolchain, cargo_home, folder};
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The target: little-endian BPF, without a prebuilt library.
const TARGET: &str = "bpfel-unknown-none";

/// A rustc wrapper. cargo derives `-C metadata`, which ends in every symbol's name, from the absolute paths of crates outside of
/// the workspace: `profiler-common` and the library itself. Name and version are as unique here, and the same in every folder.
const STABLE_METADATA: &str = r#"#!/bin/sh
rustc=$1
shift
for argument do
    shift
    case $argument in
        metadata=*) argument="metadata=$CARGO_PKG_NAME-$CARGO_PKG_VERSION" ;;
    esac
    set -- "$@" "$argument"
done
exec "$rustc" "$@"
"#;

/// A source folder and the name that the object has for it.
type Renamed = (PathBuf, &'static str);

/// How the kernel side is compiled, whatever the folder.
pub(crate) fn flags() -> Vec<String> {
    vec![
        "--cfg".to_owned(),
        format!("bpf_target_arch=\"{}\"", env::consts::ARCH),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Atomics that return the old value (5.12) are in the third instruction set; `-Clink-arg=--cpu` is refused as given twice.
        "-Ctarget-cpu=v3".to_owned(),
    ]
}

/// Compiles the crate in `crate_folder` and returns the object's path. `locked` refuses to change its `Cargo.lock`.
pub(crate) fn compile(toolchain: &Toolchain, crate_folder: &Path, locked: bool) -> Result<PathBuf> {
    let compiler = &toolchain.compiler;
    let mut cargo = compiler.command(&compiler.cargo);
    let mut rustflags = flags();
    for (from, to) in renamed(toolchain, crate_folder)? {
        rustflags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    let mut path = vec![toolchain.linker_folder.clone()];
    path.extend(compiler.rustc.parent().map(Path::to_path_buf));
    path.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    cargo.env("PATH", env::join_paths(path)?);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\u{1f}"));
    cargo.env("RUSTC_WRAPPER", wrapper()?);
    // In this one command only: in any other it would change what other crates believe about their compiler.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    cargo.current_dir(crate_folder).args(["build", "--release", "--target", TARGET, "-Z", "build-std=core"]);
    cargo.arg("--target-dir").arg(folder().join("build")).arg("--message-format=json-render-diagnostics");
    if locked {
        cargo.arg("--locked");
    }
    let output =
        cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start the kernel toolchain's cargo")?;
    if !output.status.success() {
        bail!("{} does not compile for {TARGET}; the compiler's message stands above", crate_folder.display());
    }
    executable(&String::from_utf8_lossy(&output.stdout))
}

/// What is renamed; of two that match, rustc takes the later one, so the repository, which may hold the others, is first.
fn renamed(toolchain: &Toolchain, crate_folder: &Path) -> Result<Vec<Renamed>> {
    let house = crate_folder.parent().unwrap_or(crate_folder);
    let library = toolchain.compiler.sysroot()?.join("lib/rustlib/src/rust");
    let real_library = fs::canonicalize(&library).with_context(|| format!("no library source in {}", library.display()))?;
    Ok(vec![
        (house.to_path_buf(), "/profiler"),
        (cargo_home()?.join("registry/src"), "/registry"),
        (library, "/rust"),
        (real_library, "/rust"),
    ])
}

fn wrapper() -> Result<PathBuf> {
    let file = folder().join("stable-metadata");
    if fs::read_to_string(&file).is_ok_and(|found| found == STABLE_METADATA) {
        return Ok(file);
    }
    fs::write(&file, STABLE_METADATA).with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} run", file.display()))?;
    Ok(file)
}

/// The one program among cargo's messages.
fn executable(messages: &str) -> Result<PathBuf> {
    let mut found = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => bail!("the kernel side's crate has no [[bin]] target"),
        (Some(_), Some(_)) => bail!("the kernel side's crate has more than one [[bin]] target"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Check that one program is found and that none or two are refused.
    #[test]
    fn one_program() {
        let library = r#"{"reason":"compiler-artifact","executable":null}"#;
        let program = r#"{"reason":"compiler-artifact","executable":"/x/profiler"}"#;
        assert_eq!(executable(&format!("{library}\n{program}\n")).unwrap(), PathBuf::from("/x/profiler"));
        assert!(executable(library).is_err());
        assert!(executable(&format!("{program}\n{program}")).is_err());
    }

    /// Check that the wrapper changes the one argument, and keeps spaces and order of the others.
    #[test]
    fn wrapper_changes_metadata_only() {
        let output = Command::new("sh")
            .args(["-c", STABLE_METADATA, "wrapper", "printf", "<%s>", "-C", "metadata=12ab", "a b", "-Cx"])
            .envs([("CARGO_PKG_NAME", "core"), ("CARGO_PKG_VERSION", "0.0.0")])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "<-C><metadata=core-0.0.0><a b><-Cx>");
    }
}
