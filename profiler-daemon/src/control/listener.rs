//! The daemon's end of the socket's place: made with the right permissions, taken over from the dead, never from the living.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _},
            net::UnixStream as BlockingStream,
        },
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use super::{
    address::{self, AddressError},
    peer::own_uid,
};

/// Connections the kernel keeps waiting.
const BACKLOG: u32 = 64;
/// The socket's permissions: read and write for its owner.
const SOCKET_MODE: u32 = 0o600;
/// The default folder's permissions.
const FOLDER_MODE: u32 = 0o700;
/// Bits of a folder's mode.
const EVERYBODY_WRITES: u32 = 0o002;
/// Files can be removed by their owners only.
const STICKY: u32 = 0o1000;
/// Longest wait for the lock of the socket's folder.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two tries for it.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Why the socket cannot be made.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another daemon accepts connections there.
    #[error("another daemon listens on {}", .0.display())]
    InUse(PathBuf),
    /// Something that is not a socket has the name.
    #[error("{} is there and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The default folder is not ours alone.
    #[error("{} must be a folder of user {owner} that nobody else may write to", path.display())]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
        /// The user that it should belong to.
        owner: u32,
    },
    /// Everybody could put a socket of their own in the place of ours.
    #[error("{} is a folder where everybody can remove what others have put (its sticky bit is not set): name another for the socket", .0.display())]
    OpenFolder(PathBuf),
    /// There is no default folder.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A system call failed.
    #[error("cannot {what} {}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A listening socket. Dropped, it removes its file, unless that is another daemon's by then.
#[derive(Debug)]
pub struct ControlListener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our file.
    file: (u64, u64),
}

impl ControlListener {
    /// Listens for clients of the daemon of `pid`, in this user's default folder, which is made if need be.
    ///
    /// To be called in a Tokio runtime with I/O enabled.
    pub fn bind_default(pid: u32) -> Result<Self, ListenError> {
        let folder = address::own_folder()?;
        make_folder(&folder)?;
        Self::bind(&address::socket_of(&folder, pid))
    }

    /// Listens at a path whose folder exists.
    ///
    /// The file has mode 0600 from its first moment on. The socket of a dead daemon is replaced; two daemons that start
    /// at the same moment are told apart by a lock on the folder. To be called in a Tokio runtime with I/O enabled.
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        let system = |what| move |source| ListenError::System { what, path: path.to_owned(), source };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let lock = File::open(folder).map_err(|source| ListenError::System {
            what: "open the folder",
            path: folder.to_owned(),
            source,
        })?;
        let found = lock.metadata().map_err(system("look at the folder of"))?;
        if found.mode() & EVERYBODY_WRITES != 0 && found.mode() & STICKY == 0 {
            return Err(ListenError::OpenFolder(folder.to_owned()));
        }
        // Held until this function returns: it is for the moment between the look and the bind.
        lock_soon(&lock).map_err(system("lock the folder of"))?;
        clear_the_dead(path)?;
        let socket = UnixSocket::new_stream().map_err(system("make a socket for"))?;
        // On Linux the file that bind(2) makes takes the mode of the socket's own inode (net/unix/af_unix.c,
        // `unix_bind_bsd`), so there is no moment in which it is open to others.
        // SAFETY: the descriptor is open as long as `socket` lives.
        if unsafe { libc::fchmod(socket.as_raw_fd(), SOCKET_MODE) } != 0 {
            return Err(system("set the mode of")(io::Error::last_os_error()));
        }
        socket.bind(path).map_err(system("bind a socket to"))?;
        let listener = socket.listen(BACKLOG).map_err(system("listen on"))?;
        let made = path.symlink_metadata().map_err(system("look at"))?;
        Ok(Self { listener, path: path.to_owned(), file: (made.dev(), made.ino()) })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        let ours = self.path.symlink_metadata().is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if ours {
            // A file that stays is replaced by the next daemon.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes the lock, which another daemon holds for a moment only. In a folder that others may open, such as /tmp, anybody
/// may hold it for ever: so there is an end to the waiting.
fn lock_soon(folder: &File) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if began.elapsed() > LOCK_PATIENCE => return Err(io::ErrorKind::TimedOut.into()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
        }
    }
}

/// Removes the socket of a daemon that is gone.
fn clear_the_dead(path: &Path) -> Result<(), ListenError> {
    let system = |what| move |source| ListenError::System { what, path: path.to_owned(), source };
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(ListenError::NotASocket(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system("look at")(error)),
    }
    match BlockingStream::connect(path) {
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
        // A queue that is full has somebody at its end.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ListenError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(system("remove the dead socket"))
        }
        Err(error) => Err(system("connect to")(error)),
    }
}

/// Makes the folder, or checks that what is there is ours alone.
fn make_folder(folder: &Path) -> Result<(), ListenError> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(ListenError::System { what: "make", path: folder.to_owned(), source });
        }
    }
    let found = folder.symlink_metadata();
    let found = found.map_err(|source| ListenError::System { what: "look at", path: folder.to_owned(), source })?;
    let owner = own_uid();
    if found.is_dir() && found.uid() == owner && found.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(ListenError::UnsafeFolder { path: folder.to_owned(), owner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn the_socket_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.sock");
        let listener = ControlListener::bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(listener.path(), path);
        drop(listener);
        assert!(!path.exists(), "its file goes with it");
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.sock");
        // The standard library leaves the file, as a killed daemon does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listener = ControlListener::bind(&path).unwrap();
        let client = BlockingStream::connect(&path).unwrap();
        listener.accept().await.unwrap();
        drop(client);
    }

    #[tokio::test]
    async fn a_living_daemons_socket_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.sock");
        let first = ControlListener::bind(&path).unwrap();
        let error = ControlListener::bind(&path).unwrap_err();
        assert!(matches!(&error, ListenError::InUse(at) if *at == path));
        assert_eq!(error.to_string(), format!("another daemon listens on {}", path.display()));
        assert!(BlockingStream::connect(&path).is_ok(), "the first goes on");
        drop(first);
        assert!(ControlListener::bind(&path).is_ok());
    }

    #[tokio::test]
    async fn many_that_start_at_once_leave_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let starts = (0..8).map(|_| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || ControlListener::bind(&path))
        });
        let mut listening = Vec::new();
        for start in starts.collect::<Vec<_>>() {
            match start.await.unwrap() {
                Ok(listener) => listening.push(listener),
                Err(error) => assert!(matches!(error, ListenError::InUse(_)), "{error}"),
            }
        }
        assert_eq!(listening.len(), 1);
    }

    #[tokio::test]
    async fn who_keeps_the_folder_locked_keeps_nobody_waiting_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let held = File::open(folder.path()).unwrap();
        held.lock().unwrap();
        let error = ControlListener::bind(&folder.path().join("7.sock")).unwrap_err();
        assert!(matches!(error, ListenError::System { what: "lock the folder of", .. }), "{error}");
        drop(held);
        assert!(ControlListener::bind(&folder.path().join("7.sock")).is_ok());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        assert!(matches!(ControlListener::bind(&path), Err(ListenError::NotASocket(_))));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(ControlListener::bind(&link), Err(ListenError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }

    #[tokio::test]
    async fn where_everybody_could_take_its_place_there_is_no_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.sock");
        let mode = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o777);
        let error = ControlListener::bind(&path).unwrap_err();
        assert!(matches!(&error, ListenError::OpenFolder(_)), "{error}");
        assert!(!path.exists());
        mode(0o1777);
        assert!(ControlListener::bind(&path).is_ok());
    }

    #[tokio::test]
    async fn another_daemons_file_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.sock");
        let first = ControlListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _second = ControlListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }

    #[test]
    fn the_folder_is_made_and_checked() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("profiler-daemon");
        make_folder(&folder).unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        make_folder(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(make_folder(&folder), Err(ListenError::UnsafeFolder { .. })));
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        assert!(matches!(make_folder(&link), Err(ListenError::UnsafeFolder { .. })));
    }
}
