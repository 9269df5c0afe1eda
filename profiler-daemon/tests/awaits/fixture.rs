//! The program: how it is built, and where its source says that it waits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The cargo profiles that it is built in.
pub(crate) const PROFILES: [&str; 4] = ["dev", "release", "thin", "fat"];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/awaits/fixture")
}

/// Builds it (cargo knows what is new), and gives the program.
pub(crate) fn build(profile: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("awaits");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "-j2", "--profile", profile, "--manifest-path"])
        .arg(directory().join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target)
        // What is read is what rustc writes by itself, whatever the profiler is built with.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("RUSTFLAGS", "")
        .status()
        .unwrap();
    assert!(status.success(), "cargo build --profile {profile}: {status}");
    target.join(if profile == "dev" { "debug" } else { profile }).join("waiting")
}

/// The places that the source names: file and line, by name.
pub(crate) fn places() -> HashMap<(String, u32), String> {
    let mut places = HashMap::new();
    for entry in std::fs::read_dir(directory().join("src")).unwrap() {
        let path = entry.unwrap().path();
        for (line, text) in (1..).zip(std::fs::read_to_string(&path).unwrap().lines()) {
            if let Some((_, name)) = text.split_once("// at: ") {
                let file = format!("src/{}", path.file_name().unwrap().to_str().unwrap());
                places.insert((file, line), name.to_owned());
            }
        }
    }
    places
}
