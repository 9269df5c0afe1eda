//! Readers that are not ours, brought into `target/format-readers` by their own package managers, pinned by hash.
//!
//! A machine without `python3 -m venv`, or without a network on the first run, skips the tests, with the reason. Where
//! `PROFILER_NEEDS_READERS` is set, as in CI, that is a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use profiler_tests::{Failure, Result, binaries};
use serde_json::Value;

/// What the folder was made from: another content is another folder's worth.
const PINS: [(&str, &str); 3] = [
    ("requirements.txt", include_str!("readers/requirements.txt")),
    ("package.json", include_str!("readers/package.json")),
    ("package-lock.json", include_str!("readers/package-lock.json")),
];
/// The scripts that drive the readers: they must stand beside the packages, which is where Node.js looks for them.
const SCRIPTS: [(&str, &str); 4] = [
    ("pprof.mjs", include_str!("readers/pprof.mjs")),
    ("speedscope.mjs", include_str!("readers/speedscope.mjs")),
    ("firefox.mjs", include_str!("readers/firefox.mjs")),
    ("perfetto_trace.py", include_str!("readers/perfetto_trace.py")),
];

/// The installed readers.
pub(crate) struct Readers {
    folder: PathBuf,
}

/// The readers, installed on first use. `Err`: why they cannot be used here.
pub(crate) fn readers() -> std::result::Result<&'static Readers, String> {
    static READERS: OnceLock<std::result::Result<Readers, String>> = OnceLock::new();
    let found = READERS.get_or_init(|| install().map_err(|failure| failure.to_string()));
    found.as_ref().map_err(Clone::clone)
}

/// Whether a missing reader is a failure here.
pub(crate) fn are_needed() -> bool {
    std::env::var_os("PROFILER_NEEDS_READERS").is_some_and(|value| !value.is_empty())
}

fn install() -> Result<Readers> {
    let folder = binaries::target().join("format-readers");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Failure::io(path.display().to_string()))
    };
    fs::create_dir_all(&folder).map_err(Failure::io(folder.display().to_string()))?;
    let stamp: String = PINS.iter().map(|(_, text)| *text).collect();
    if fs::read_to_string(folder.join("installed")).ok().as_deref() != Some(&stamp) {
        for (name, text) in PINS {
            write(name, text)?;
        }
        run(Command::new("python3").args(["-m", "venv", "--clear", "python"]), &folder)?;
        run(Command::new("python/bin/pip").args(["install", "--quiet", "--require-hashes", "-r", "requirements.txt"]), &folder)?;
        run(with_node("npm", &folder).args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]), &folder)?;
        write("installed", &stamp)?;
    }
    for (name, text) in SCRIPTS {
        write(name, text)?;
    }
    Ok(Readers { folder })
}

/// A program of the venv, that finds the venv's `node`. Whatever it keeps, it keeps here and not in the user's home.
fn with_node(program: &str, folder: &Path) -> Command {
    let bin = folder.join("python/bin");
    let mut path = bin.clone().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(bin.join(program));
    command.env("PATH", path);
    command
}

/// Runs a program to its end, and returns what it printed.
fn run(command: &mut Command, folder: &Path) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    // The program is named relative to the folder, which is not where the test runs.
    let output = command.current_dir(folder).output().map_err(Failure::io(name.clone()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure::Wrong(vec![format!("{name}: {}: {stderr}", output.status)]))
}

impl Readers {
    /// Has a script read `bytes` from a file of that name.
    pub(crate) fn read(&self, script: &str, file: &str, bytes: &[u8]) -> Result<Value> {
        let place = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
        let path = place.path().join(file);
        fs::write(&path, bytes).map_err(Failure::io(path.display().to_string()))?;
        let is_python = Path::new(script).extension().is_some_and(|end| end == "py");
        let interpreter = if is_python { "python3" } else { "node" };
        let mut command = with_node(interpreter, &self.folder);
        command.arg(self.folder.join(script)).arg(&path).env("HOME", place.path());
        let printed = run(&mut command, &self.folder)?;
        serde_json::from_slice(&printed).map_err(|error| Failure::Form { path: script.into(), why: error.to_string() })
    }
}
