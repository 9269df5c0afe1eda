//! Programs run as another user, with the capabilities that are named and no others.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_tests::{Failure, Result, binaries};
use tempfile::TempDir;

/// `nobody`, as whom the profiler runs.
pub(crate) const NOBODY: u32 = 65534;
/// Another user, whose processes are somebody else's.
pub(crate) const OTHER: u32 = 1234;

/// Whether programs can be run as other users here.
pub(crate) fn can_be_others() -> bool {
    Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Ends the test where it cannot be run.
macro_rules! needs_users {
    () => {
        profiler_tests::needs_root!();
        if !crate::user::can_be_others() {
            profiler_tests::skip!("setpriv (util-linux) is not installed");
        }
    };
}
pub(crate) use needs_users;

/// A folder that everybody can enter, with copies of what is run: the build folder may be closed to others.
pub(crate) struct Place {
    folder: TempDir,
    profiler: PathBuf,
    service: PathBuf,
}

impl Place {
    pub(crate) fn make() -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
        set_mode(folder.path(), 0o1777)?;
        let copy = |from: &Path, name: &str| {
            let to = folder.path().join(name);
            fs::copy(from, &to).map_err(Failure::io(name))?;
            set_mode(&to, 0o755)?;
            Ok::<PathBuf, Failure>(to)
        };
        let (profiler, service) =
            (copy(&binaries::profiler()?, "profiler")?, copy(&binaries::fixture("fixture-service")?, "service")?);
        Ok(Self { folder, profiler, service })
    }

    /// A name in the folder, where everybody can make files and nobody can remove another's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The service's program.
    pub(crate) fn service(&self) -> &Path {
        &self.service
    }

    /// The profiler, as user `uid` with these capabilities (`bpf`, `sys_ptrace`): as ambient ones, which a service manager gives.
    pub(crate) fn profiler(&self, uid: u32, capabilities: &[&str]) -> Command {
        let mut command = as_user(uid, capabilities, &self.profiler);
        // No folder of theirs to keep layouts in.
        command.env("PROFILER_CACHE", "");
        command
    }

    /// The service, as user `uid` without any capability.
    pub(crate) fn fixture(&self, uid: u32) -> Command {
        let mut command = as_user(uid, &[], &self.service);
        command.args(["requests", "--concurrent", "2"]);
        command
    }
}

pub(crate) fn as_user(uid: u32, capabilities: &[&str], program: &Path) -> Command {
    let set = capabilities.iter().fold("-all".to_owned(), |set, capability| format!("{set},+{capability}"));
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", &format!("--inh-caps={set}")]);
    if !capabilities.is_empty() {
        command.arg(format!("--ambient-caps={set}"));
    }
    command.arg(program);
    command
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Failure::io(path.display().to_string()))
}

/// Gives a file to a user, the link itself where it is one.
pub(crate) fn give(path: &Path, uid: u32) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).map_err(Failure::io(path.display().to_string()))
}

/// A line of `/proc/PID/status`, of the process or a thread.
pub(crate) fn status(folder: &Path, key: &str) -> Result<String> {
    let path = folder.join("status");
    let text = fs::read_to_string(&path).map_err(Failure::io(path.display().to_string()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    Ok(line.unwrap_or_default().trim().to_owned())
}
