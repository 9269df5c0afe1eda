//! Profilers that a service has inside: the same service built with each (`tests/rivals`), under a load of its own, measured in the slices in which the plain one stands
//! still.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_tests::rig::attached::Sight;
use profiler_tests::rig::load::Load;
use profiler_tests::rig::service::Service;
use profiler_tests::{Failure, Result, binaries};

use crate::observer::{Observer, cannot};

/// A profiler, and how the service is built with it.
pub(crate) struct Rival {
    /// The row's name.
    pub(crate) name: &'static str,
    feature: &'static str,
    /// What its documentation asks to build with.
    flags: &'static str,
}

/// All of them.
pub(crate) const ALL: [Rival; 5] = [
    Rival { name: "console_subscriber", feature: "console", flags: "--cfg tokio_unstable" },
    Rival { name: "dial9", feature: "dial9", flags: "--cfg tokio_unstable" },
    Rival { name: "tracing_flame", feature: "flame", flags: "" },
    Rival { name: "tokio_metrics", feature: "metrics", flags: "" },
    Rival { name: "pprof_rs", feature: "pprof", flags: "" },
];

impl Rival {
    /// The service with it, built where it is not.
    pub(crate) fn program(&self) -> Result<PathBuf> {
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

    /// Starts the service with it, and pauses its load.
    pub(crate) fn start(&self, folder: &Path) -> Result<Inside> {
        let program = self.file();
        if !program.exists() {
            return Err(cannot(format!("the service could not be built with {}; `--build` says why", self.name)));
        }
        let service = Service::start(Command::new(program).arg(folder))?;
        let load = Load::start(service.port);
        load.pause(true);
        Ok(Inside { service, load })
    }
}

/// A running service with a profiler inside. Whoever begins pauses the load of the plain one.
pub(crate) struct Inside {
    service: Service,
    load: Load,
}

impl Observer for Inside {
    fn begin(&mut self, _plain: &Service) -> Result<()> {
        self.load.pause(false);
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Sight>> {
        self.load.pause(true);
        Ok(None)
    }

    /// Its CPU time is the service's.
    fn pid(&self) -> Option<u32> {
        None
    }

    fn instead(&mut self) -> Option<(&mut Service, &Load)> {
        Some((&mut self.service, &self.load))
    }
}
