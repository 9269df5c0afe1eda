//! Profilers that a service has inside: the same service built with each (`tests/rivals`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::service::Service;
use crate::{Failure, Result, binaries};

/// A profiler, and how the service is built with it.
pub struct Rival {
    /// The name of its row.
    pub name: &'static str,
    feature: &'static str,
    /// What its documentation asks to build with.
    flags: &'static str,
}

/// Tokio's console.
pub const CONSOLE: Rival = Rival { name: "console_subscriber", feature: "console", flags: "--cfg tokio_unstable" };
/// Traces of polls, wakes and parks.
pub const DIAL9: Rival = Rival { name: "dial9", feature: "dial9", flags: "--cfg tokio_unstable" };

/// All of them.
pub const ALL: [Rival; 5] = [
    CONSOLE,
    DIAL9,
    Rival { name: "tracing_flame", feature: "flame", flags: "" },
    Rival { name: "tokio_metrics", feature: "metrics", flags: "" },
    Rival { name: "pprof_rs", feature: "pprof", flags: "" },
];

/// Those that follow each poll.
pub const TRACERS: [Rival; 2] = [DIAL9, CONSOLE];

impl Rival {
    /// Whether there is a service with it.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.file().exists()
    }

    /// The service with it, built where it is not.
    pub fn program(&self) -> Result<PathBuf> {
        let file = self.file();
        let sources = binaries::repository().join("tests/rivals");
        let target = binaries::target().join("rivals");
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&sources).args(["build", "--release", "--quiet", "--locked", "--features", self.feature]);
        command.arg("--target-dir").arg(&target).env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", self.flags);
        eprintln!("building the service with {}", self.name);
        let output = command.output().map_err(Failure::io("cargo"))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::Build {
                package: format!("rivals with {}", self.feature),
                status: output.status.to_string(),
                stderr,
            });
        }
        let failed = Failure::io(file.display().to_string());
        fs::copy(target.join("release/rivals"), &file).map_err(failed)?;
        Ok(file)
    }

    fn file(&self) -> PathBuf {
        binaries::target().join("rivals").join(format!("rival-{}", self.feature))
    }

    /// Starts the service with it, if it was built; what the profiler writes goes to `folder`.
    pub fn start(&self, folder: &Path) -> Result<Service> {
        let program = self.file();
        if !self.is_built() {
            let why = format!("the service could not be built with {}; `--build` says why", self.name);
            return Err(Failure::Wrong(vec![why]));
        }
        Service::start(Command::new(program).arg(folder))
    }
}
