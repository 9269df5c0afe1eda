//! The profiled process from outside: is it there, is it ours to profile, what is its program and where is it mapped.
//!
//! Everything is read through one `/proc/PID` folder that is opened once, beside a pidfd: if the process dies and its pid
//! is given to another one, reads fail instead of telling about the wrong process.

pub mod code;
pub mod error;
pub mod hardening;
pub mod image;
pub mod kernel;
pub mod listener;
pub mod mapped;
pub mod maps;
pub mod memory;
pub mod object;
mod pidfd;
pub mod privileges;
pub mod process_context;
pub mod program;
pub mod seccomp;
mod status;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

pub use self::error::TargetError;
use self::{
    maps::{Mapping, Module},
    object::Object,
    pidfd::Pidfd,
    privileges::{Capability, Privileges},
    program::Program,
    seccomp::SeccompThreads,
    status::{Stat, Status},
};

/// Largest file of `/proc` that is read: `maps` of a process at its limit of 65,530 mappings has some 10 MB.
const PROC_FILE_MAX: u64 = 64 << 20;

/// A process that can be profiled as far as it shows from outside.
///
/// It lives in user space, is not this process, and its program is an x86-64 ELF that could be read. What is profiled is its program, or one
/// of its shared objects ([`object`]).
#[derive(Debug)]
pub struct Target {
    pid: u32,
    comm: String,
    pidfd: Pidfd,
    folder: OwnedFd,
    exe: PathBuf,
    exe_deleted: bool,
    /// What is profiled, where that is not the program.
    object: Option<Object>,
    wanted_object: Option<PathBuf>,
}

impl Target {
    /// Opens the process and checks it.
    ///
    /// Checked in this order: no such process, a thread's id, ourselves, a kernel thread, already dead, files that cannot
    /// be read. The program itself is checked by [`Self::program`].
    pub fn open(pid: u32) -> Result<Self, TargetError> {
        let opened = Pidfd::open(pid);
        let path = PathBuf::from(format!("/proc/{pid}"));
        if let Ok(status) = Status::of(&path, pid)
            && status.tgid != pid
        {
            return Err(TargetError::ThreadOfProcess { tid: pid, tgid: status.tgid });
        }
        let pidfd = opened.map_err(|source| match source.raw_os_error() {
            Some(libc::ESRCH | libc::EINVAL | libc::ENOENT) => TargetError::NoSuchProcess { pid },
            _ => TargetError::Pidfd { pid, source },
        })?;
        if pid == std::process::id() {
            return Err(TargetError::Itself { pid });
        }
        let folder = open_folder(&path).map_err(|source| missing(pid, &pidfd, path, source))?;
        let mut target = Self {
            pid,
            comm: String::new(),
            pidfd,
            folder,
            exe: PathBuf::new(),
            exe_deleted: false,
            object: None,
            wanted_object: None,
        };
        let stat = Stat::parse(&target.read("stat")?).ok_or(TargetError::Malformed { pid, file: "stat" })?;
        stat.comm.clone_into(&mut target.comm);
        if stat.is_kernel_thread() {
            return Err(TargetError::KernelThread { pid, comm: stat.comm });
        }
        if stat.is_dead() {
            return Err(TargetError::Zombie { pid });
        }
        let link = std::fs::read_link(target.proc_path("exe")).map_err(|source| target.failed("exe", source))?;
        (target.exe, target.exe_deleted) = maps::without_deleted(link.as_os_str().as_bytes());
        Ok(target)
    }

    /// The process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// The process' name, as `ps` shows it; chosen by the process, untrusted.
    #[must_use]
    pub fn comm(&self) -> &str {
        &self.comm
    }

    /// The path of its program, for people to read. Open [`Self::proc_path`]`("exe")` instead: that is the very file that
    /// runs, also in a container or after it was replaced.
    #[must_use]
    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// Whether the program's file was deleted or replaced since the process began.
    #[must_use]
    pub const fn exe_was_replaced(&self) -> bool {
        self.exe_deleted
    }

    /// The path of a file in the process' `/proc` folder, bound to this process and not to its number: valid in this
    /// process, and as long as this struct lives.
    #[must_use]
    pub fn proc_path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{file}", self.folder.as_raw_fd()))
    }

    /// Whether the process has ended.
    #[must_use]
    pub fn has_exited(&self) -> bool {
        self.pidfd.has_exited()
    }

    /// Waits for the process' end; returns at once if it has ended. To be called in a Tokio runtime with I/O enabled.
    pub fn exited(&self) -> impl Future<Output = io::Result<()>> + use<> {
        self.pidfd.exited()
    }

    /// Reads the program and checks that it is an x86-64 ELF. Works also where its file was deleted or replaced.
    pub fn exe_program(&self) -> Result<Program, TargetError> {
        let file = File::open(self.proc_path("exe")).map_err(|source| self.failed("exe", source))?;
        let bytes = program::read(file).map_err(|source| self.failed("exe", source))?;
        Program::parse(&self.exe, bytes)
    }

    /// The process' mappings, in address order.
    pub fn mappings(&self) -> Result<Vec<Mapping>, TargetError> {
        maps::parse(&self.read("maps")?).ok_or(TargetError::Malformed { pid: self.pid, file: "maps" })
    }

    /// The files that the process has mapped to run, the program first.
    pub fn modules(&self) -> Result<Vec<Module>, TargetError> {
        let mut modules = maps::modules(&self.mappings()?);
        // Stable, so that the others stay in address order.
        modules.sort_by_key(|module| !self.is_program(module));
        Ok(modules)
    }

    /// What is added to an address in the program's file to get the address in the process.
    pub fn exe_bias(&self, program: &Program) -> Result<u64, TargetError> {
        let mappings = self.mappings()?;
        let own = mappings.iter().filter(|mapping| self.is_exe(mapping));
        program::load_bias(program.segments(), own).ok_or_else(|| TargetError::NotMapped { pid: self.pid, exe: self.exe.clone() })
    }

    /// Whether that is mapped from the program's file, by its path.
    pub(crate) fn is_exe(&self, mapping: &Mapping) -> bool {
        mapping.is_of(&self.exe, self.exe_deleted)
    }

    /// The build id of a module; `None` where it has none. Read from the very file that is mapped, by
    /// `/proc/PID/map_files`, which needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
    pub fn build_id(&self, module: &Module) -> Result<Option<Vec<u8>>, TargetError> {
        let Some(range) = module.ranges.first() else {
            return Ok(None);
        };
        let name = format!("map_files/{:x}-{:x}", range.start, range.end);
        let file = File::open(self.proc_path(&name)).map_err(|source| self.failed(&name, source))?;
        program::build_id_of(file).map_err(|source| TargetError::BadElf { path: module.path.clone(), source })
    }

    /// Which seccomp filters the threads of the process are under.
    pub fn seccomp(&self) -> Result<SeccompThreads, TargetError> {
        seccomp::of_threads(&self.proc_path("task")).map_err(|source| self.failed("task", source))
    }

    fn is_program(&self, module: &Module) -> bool {
        module.path == self.exe && module.deleted == self.exe_deleted
    }

    fn read(&self, file: &str) -> Result<Vec<u8>, TargetError> {
        read_bounded(&self.proc_path(file)).map_err(|source| self.failed(file, source))
    }

    fn failed(&self, file: &str, source: io::Error) -> TargetError {
        missing(self.pid, &self.pidfd, PathBuf::from(format!("/proc/{}/{file}", self.pid)), source)
    }
}

impl AsFd for Target {
    /// The pidfd.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Why a file of a process is not to be had: the process has ended, we may not, or something else.
fn missing(pid: u32, pidfd: &Pidfd, path: PathBuf, source: io::Error) -> TargetError {
    if pidfd.has_exited() {
        return TargetError::Exited { pid };
    }
    match source.raw_os_error() {
        // A live process without a folder is one that a `hidepid` mount of /proc hides from us.
        Some(libc::EACCES | libc::EPERM | libc::ENOENT) => {
            // Where the process itself is open to us, it is the permissions of its file that are not.
            let wanted = [Capability::SysPtrace, Capability::DacReadSearch];
            let lacks = Privileges::read().ok().and_then(|own| own.lacks(&wanted));
            TargetError::NoAccess { pid, path, lacks, source }
        }
        _ => TargetError::Unreadable { pid, path, source },
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = libc::O_DIRECTORY | libc::O_PATH | libc::O_CLOEXEC;
    File::options().read(true).custom_flags(flags).open(path).map(OwnedFd::from)
}

/// Reads a file of at most [`PROC_FILE_MAX`] bytes: half a list of mappings would be worse than none.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(PROC_FILE_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > PROC_FILE_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 64 MiB"));
    }
    Ok(bytes)
}

/// Bytes from the kernel as a path.
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}
