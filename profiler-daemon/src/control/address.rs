//! Where daemons listen, and which of them a client means.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::peer::own_uid;

/// Where root's daemons listen.
pub const ROOT_FOLDER: &str = "/run/profiler-daemon";
/// The folder's name under another user's `XDG_RUNTIME_DIR`.
const FOLDER_NAME: &str = "profiler-daemon";

/// Which daemon a client means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonAddress {
    /// The only one that runs.
    Only,
    /// That of this target.
    OfPid(u32),
    /// The one on this socket.
    At(PathBuf),
}

/// Why no daemon is found.
#[derive(Debug, Error)]
pub enum AddressError {
    /// Nobody listens.
    #[error("no daemon runs: start one with `profiler-daemon run --pid PID`")]
    None,
    /// More than one listens.
    #[error("several daemons run, say which with --pid: {}", .0.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))]
    Several(Vec<u32>),
    /// The folder of sockets may not be read.
    #[error("cannot read {} (run as root: sudo)", .0.display())]
    NoAccess(PathBuf),
    /// The folder of sockets cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not root, and `XDG_RUNTIME_DIR` is not set.
    #[error("there is no default place for a socket of this user (XDG_RUNTIME_DIR is not set): say --socket PATH")]
    NoFolder,
}

/// The folder of this user's sockets: root's is [`ROOT_FOLDER`], another's is under `XDG_RUNTIME_DIR`.
pub fn own_folder() -> Result<PathBuf, AddressError> {
    if own_uid() == 0 {
        return Ok(PathBuf::from(ROOT_FOLDER));
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|path| path.is_absolute()).ok_or(AddressError::NoFolder)?;
    Ok(runtime.join(FOLDER_NAME))
}

/// The socket of the daemon of a target, in a folder.
#[must_use]
pub fn socket_of(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("{pid}.sock"))
}

/// The path to connect to. Without a pid or path, every socket in this user's folder and in root's is tried.
pub fn find(address: &DaemonAddress) -> Result<PathBuf, AddressError> {
    let mut folders = vec![PathBuf::from(ROOT_FOLDER)];
    match own_folder() {
        Ok(own) if own != folders[0] => folders.insert(0, own),
        Ok(_) | Err(_) => {}
    }
    find_in(&folders, address)
}

pub(super) fn find_in(folders: &[PathBuf], address: &DaemonAddress) -> Result<PathBuf, AddressError> {
    match address {
        DaemonAddress::At(path) => return Ok(path.clone()),
        DaemonAddress::OfPid(pid) => {
            let sockets = folders.iter().map(|folder| socket_of(folder, *pid));
            let mut sockets = sockets.filter(|socket| socket.exists());
            // Not in a folder that may be read: the last one then says why, when it is connected to.
            let last = folders.last().map(|folder| socket_of(folder, *pid));
            return sockets.next().or(last).ok_or(AddressError::None);
        }
        DaemonAddress::Only => {}
    }
    let mut found = Vec::new();
    let mut closed = None;
    for folder in folders {
        match listening(folder) {
            Ok(daemons) => found.extend(daemons),
            Err(AddressError::NoAccess(path)) => closed = Some(path),
            Err(error) => return Err(error),
        }
    }
    match (found.as_slice(), closed) {
        ([], Some(path)) => Err(AddressError::NoAccess(path)),
        ([], None) => Err(AddressError::None),
        ([(_, path)], _) => Ok(path.clone()),
        (several, _) => Err(AddressError::Several(several.iter().map(|(pid, _)| *pid).collect())),
    }
}

/// The daemons that accept connections in a folder, by their target's pid. A folder that is not there holds none.
fn listening(folder: &Path) -> Result<Vec<(u32, PathBuf)>, AddressError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied => AddressError::NoAccess(folder.to_owned()),
        _ => AddressError::Unreadable { path: folder.to_owned(), source },
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut daemons = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let pid = name.to_str().and_then(|name| name.strip_suffix(".sock")?.parse().ok());
        let Some(pid) = pid else { continue };
        let path = socket_of(folder, pid);
        // A daemon that was killed leaves its socket: nobody accepts there.
        if UnixStream::connect(&path).is_ok() {
            daemons.push((pid, path));
        }
    }
    daemons.sort_unstable();
    Ok(daemons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn only(folders: &[PathBuf]) -> Result<PathBuf, AddressError> {
        find_in(folders, &DaemonAddress::Only)
    }

    #[test]
    fn one_daemon_needs_no_name_and_several_do() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_owned(), other.path().to_owned(), PathBuf::from("/no/such/folder")];
        assert_eq!(only(&folders).unwrap_err().to_string(), "no daemon runs: start one with `profiler-daemon run --pid PID`");

        let _one = UnixListener::bind(socket_of(folder.path(), 12)).unwrap();
        // A dead daemon's socket and what is no socket of ours count for nothing.
        drop(UnixListener::bind(socket_of(folder.path(), 13)).unwrap());
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        std::fs::write(folder.path().join("14.sock"), "").unwrap();
        assert_eq!(only(&folders).unwrap(), socket_of(folder.path(), 12));

        let _two = UnixListener::bind(socket_of(other.path(), 9)).unwrap();
        let error = only(&folders).unwrap_err();
        assert_eq!(error.to_string(), "several daemons run, say which with --pid: 12, 9");
    }

    #[test]
    fn a_pid_is_looked_for_in_every_folder() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [PathBuf::from("/no/such/folder"), folder.path().to_owned()];
        let _one = UnixListener::bind(socket_of(folder.path(), 12)).unwrap();
        let of = |pid| find_in(&folders, &DaemonAddress::OfPid(pid)).unwrap();
        assert_eq!(of(12), socket_of(folder.path(), 12));
        assert_eq!(of(13), socket_of(folder.path(), 13));
        let at = PathBuf::from("/x.sock");
        assert_eq!(find_in(&folders, &DaemonAddress::At(at.clone())).unwrap(), at);
    }
}
