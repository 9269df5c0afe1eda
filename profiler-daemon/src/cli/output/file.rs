//! Opening a file for a result, where root writes into folders of others: /tmp, a user's home.
//!
//! Whoever can write in the folder could have put a symbolic link, a pipe or a file of their own under the name, and root would overwrite what
//! the link points to, or give its result away. So a new file is made by `O_EXCL`, which follows no link. One that is there is
//! taken if nobody else could have put it there, and its name is followed only then.
//!
//! The file is opened before the work and written in place: by then the privileges that opening took are given up.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

/// What must not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A symbolic link.
    Link,
    /// Another user's file or pipe, or a file that has another name too.
    File,
}

/// Why there is no file.
#[derive(Debug)]
pub(super) enum NoFile {
    Planted(Planted),
    System(io::Error),
}

impl From<io::Error> for NoFile {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// Opens a file to write, and changes nothing in one that is there. Whether it is new.
pub(super) fn open(path: &Path) -> Result<(File, bool), NoFile> {
    let trusted = Trusted::here();
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => {
            if let Some((uid, gid)) = trusted.caller {
                // A file that stays root's can still be read by others, as far as the umask lets them.
                let _ = fchown(&file, Some(uid), Some(gid));
            }
            Ok((file, true))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok((open_found(path, trusted)?, false)),
        Err(error) => Err(error.into()),
    }
}

fn open_found(path: &Path, trusted: Trusted) -> Result<File, NoFile> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::metadata(folder)?;
    // Before it is opened: opening a pipe waits for its other end.
    let found = fs::symlink_metadata(path)?;
    trusted.judge(&folder, &found).map_err(NoFile::Planted)?;
    let mut options = OpenOptions::new();
    options.write(true);
    if !found.is_symlink() {
        options.custom_flags(libc::O_NOFOLLOW);
    }
    let file = options.open(path)?;
    // It may have been exchanged since. What a link leads to was put there by one who may.
    if !found.is_symlink() {
        trusted.judge(&folder, &file.metadata()?).map_err(NoFile::Planted)?;
    }
    Ok(file)
}

/// Users who do us no harm: ourselves, root, and who called sudo.
#[derive(Clone, Copy, Debug)]
struct Trusted {
    uid: u32,
    /// User and group who called sudo, where we are root by it.
    caller: Option<(u32, u32)>,
}

impl Trusted {
    fn here() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let number = |name| std::env::var(name).ok()?.parse().ok();
        let caller = number("SUDO_UID").zip(number("SUDO_GID"));
        Self { uid, caller: caller.filter(|_| uid == 0) }
    }

    fn has(self, uid: u32) -> bool {
        uid == 0 || uid == self.uid || self.caller.is_some_and(|(caller, _)| caller == uid)
    }

    /// Whether `found` in `folder` may be opened.
    fn judge(self, folder: &Metadata, found: &Metadata) -> Result<(), Planted> {
        const OTHERS_WRITE: u32 = 0o022;
        const STICKY: u32 = 0o1000;
        if self.has(folder.uid()) && folder.mode() & OTHERS_WRITE == 0 {
            return Ok(());
        }
        // In a sticky folder nobody can put a name of theirs in the place of ours.
        let is_safe = self.has(folder.uid()) && folder.mode() & STICKY != 0 && self.has(found.uid());
        if found.is_symlink() {
            if is_safe { Ok(()) } else { Err(Planted::Link) }
        } else if self.has(found.uid()) && (!found.is_file() || found.nlink() == 1) {
            Ok(())
        } else {
            Err(Planted::File)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn folder(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn refused(path: &Path) -> Option<Planted> {
        match open(path) {
            Ok(_) => None,
            Err(NoFile::Planted(planted)) => Some(planted),
            Err(NoFile::System(error)) => panic!("{error}"),
        }
    }

    /// Check that a link is followed where nobody else could have put it, and nowhere else.
    #[test]
    fn a_link_is_followed_in_our_own_folder_only() {
        for (mode, expected) in [(0o700, None), (0o755, None), (0o777, Some(Planted::Link)), (0o770, Some(Planted::Link))] {
            let folder = folder(mode);
            fs::write(folder.path().join("precious"), "data").unwrap();
            symlink("precious", folder.path().join("out.svg")).unwrap();
            assert_eq!(refused(&folder.path().join("out.svg")), expected, "{mode:o}");
            assert_eq!(fs::read_to_string(folder.path().join("precious")).unwrap(), "data");
        }
        // As in /tmp: the link is ours, and stays ours.
        let folder = folder(0o1777);
        symlink("nothing-there", folder.path().join("out.svg")).unwrap();
        assert!(matches!(open(&folder.path().join("out.svg")), Err(NoFile::System(_))), "it was followed");
    }

    /// Check that a file with a second name is left alone where others could have given it one of the two.
    #[test]
    fn a_second_name_is_left_alone() {
        let folder = folder(0o777);
        fs::write(folder.path().join("precious"), "data").unwrap();
        assert_eq!(refused(&folder.path().join("precious")), None);
        fs::hard_link(folder.path().join("precious"), folder.path().join("out.svg")).unwrap();
        assert_eq!(refused(&folder.path().join("out.svg")), Some(Planted::File));
    }

    #[test]
    fn what_is_the_systems_is_opened() {
        assert_eq!(refused(Path::new("/dev/null")), None);
        assert_eq!(refused(Path::new("/dev/stdout")), None);
    }

    /// Check who may have put what where.
    #[test]
    fn another_users_file_is_refused() {
        let folder = folder(0o1777);
        fs::write(folder.path().join("x"), "").unwrap();
        let (folder, file) = (folder.path().metadata().unwrap(), folder.path().join("x").metadata().unwrap());
        let stranger = Trusted { uid: folder.uid() + 1, caller: None };
        if folder.uid() != 0 {
            assert_eq!(stranger.judge(&folder, &file), Err(Planted::File));
            let caller = Trusted { caller: Some((folder.uid(), 0)), ..stranger };
            assert_eq!(caller.judge(&folder, &file), Ok(()));
        }
        assert!(stranger.has(0) && !stranger.has(stranger.uid + 1));
    }
}
