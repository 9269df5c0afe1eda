//! Layout tables kept from one attach to the next, by build id: reading a large program's debug information takes seconds, and the same program
//! is profiled again and again.
//!
//! A file is taken only from a folder that is ours and that nobody else can write, and what is in it is checked before it is used
//! ([`AwaitLayouts::from_bytes`]): at worst a program is read anew.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::inspect::awaits::AwaitLayouts;

/// The environment variable that names the folder; empty for no cache at all.
const FOLDER: &str = "PROFILER_CACHE";
/// The largest table that is read (bytes): a million nodes have some 100 MB.
const TABLE_MAX: u64 = 256 << 20;
/// How many tables are kept; the oldest goes.
const KEPT: usize = 32;
/// How long a build id may be (hexadecimal digits): linkers make 40, somebody may ask for more.
const ID_MAX: usize = 128;

/// Where tables are kept.
#[derive(Clone, Debug)]
pub(super) struct AwaitCache {
    folder: PathBuf,
    /// What compiled the tables: this very program.
    ours: String,
}

impl AwaitCache {
    /// The cache, made where it is not there yet. `None`: there is none, or its folder is not safe to use.
    pub(super) fn open() -> Option<Self> {
        let folder = folder(std::env::var_os(FOLDER), std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))?;
        Self::at(folder, &fs::metadata("/proc/self/exe").ok()?)
    }

    /// The cache in `folder`, of the program that `exe` is about.
    fn at(folder: PathBuf, exe: &Metadata) -> Option<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
        let found = fs::symlink_metadata(&folder).ok()?;
        let safe = found.is_dir() && is_ours(&found) && found.mode() & 0o022 == 0;
        safe.then(|| Self { folder, ours: format!("{:x}-{:x}-{:x}", exe.len(), exe.mtime(), exe.mtime_nsec()) })
    }

    /// The table of the program of this build id, if it is kept.
    pub(super) fn read(&self, build_id: &str) -> Option<AwaitLayouts> {
        let mut options = File::options();
        let file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(self.path(build_id)?).ok()?;
        let found = file.metadata().ok()?;
        if !found.is_file() || !is_ours(&found) || found.len() > TABLE_MAX {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(TABLE_MAX).read_to_end(&mut bytes).ok()?;
        AwaitLayouts::from_bytes(&bytes).ok()
    }

    /// Keeps a table. A cache that cannot be written is no fault of the measurement: the program is read anew next time.
    pub(super) fn keep(&self, build_id: &str, layouts: &AwaitLayouts) -> io::Result<()> {
        let Some(path) = self.path(build_id) else { return Ok(()) };
        let mut file = tempfile_in(&self.folder)?;
        let written = file.1.write_all(&layouts.to_bytes()).and_then(|()| fs::rename(&file.0, &path));
        if written.is_err() {
            // It is ours alone, and nothing refers to it.
            let _ = fs::remove_file(&file.0);
        }
        self.prune();
        written
    }

    /// A file's name: the build id comes from the target's file, so only what is one becomes part of it.
    fn path(&self, build_id: &str) -> Option<PathBuf> {
        let is_id = (8..=ID_MAX).contains(&build_id.len()) && build_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| self.folder.join(format!("{build_id}-{}.awaits", self.ours)))
    }

    /// Lets the oldest tables go.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let age = |path: &Path| fs::symlink_metadata(path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut tables: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "awaits"))
            .map(|path| (age(&path), path))
            .collect();
        tables.sort();
        let surplus = tables.len().saturating_sub(KEPT);
        for (_, path) in tables.into_iter().take(surplus) {
            // Somebody else may have been faster.
            let _ = fs::remove_file(path);
        }
    }
}

fn is_ours(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw()
}

/// The folder by what the environment says.
fn folder(own: Option<std::ffi::OsString>, xdg: Option<std::ffi::OsString>, home: Option<std::ffi::OsString>) -> Option<PathBuf> {
    if let Some(own) = own {
        return Some(PathBuf::from(own)).filter(|folder| folder.is_absolute());
    }
    // Relative paths are to be ignored (XDG Base Directory Specification).
    let xdg = xdg.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = || home.map(PathBuf::from).filter(|folder| folder.is_absolute()).map(|home| home.join(".cache"));
    Some(xdg.or_else(home)?.join("profiler-daemon"))
}

/// A new file in `folder` that only we can read and write.
fn tempfile_in(folder: &Path) -> io::Result<(PathBuf, File)> {
    let path = folder.join(format!("{}.{}.new", std::process::id(), crate::attach::monotonic_ns()));
    let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok((path, file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const ID: &str = "00ff12ab00ff12ab00ff12ab00ff12ab00ff12ab";

    fn cache(folder: &Path) -> Option<AwaitCache> {
        AwaitCache::at(folder.join("tables"), &fs::metadata("/proc/self/exe").unwrap())
    }

    fn layouts() -> AwaitLayouts {
        AwaitLayouts { files: vec!["orders.rs".to_owned()], producer: Some("rustc".to_owned()), ..AwaitLayouts::default() }
    }

    /// Check that a table comes back for its own build id, and for no other.
    #[test]
    fn a_table_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path()).unwrap();
        assert_eq!(cache.read(ID), None);
        cache.keep(ID, &layouts()).unwrap();
        assert_eq!(cache.read(ID), Some(layouts()));
        assert_eq!(cache.read(&ID.replace('f', "e")), None);
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 1, "nothing else is left");
    }

    /// Check that a build id is never a path.
    #[test]
    fn a_hostile_build_id_names_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path()).unwrap();
        for id in ["", "../../etc/passwd", "00ff12ab/../../x", "zz"] {
            assert_eq!(cache.path(id), None, "{id}");
        }
    }

    /// Check that a damaged table is not taken, and that a folder which others can write is not used.
    #[test]
    fn what_others_can_write_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let found = cache(folder.path()).unwrap();
        found.keep(ID, &layouts()).unwrap();
        let path = found.path(ID).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(found.read(ID), None);
        fs::set_permissions(&found.folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(cache(folder.path()).is_none());
    }

    /// Check that the cache does not grow without end.
    #[test]
    fn the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path()).unwrap();
        for number in 0..KEPT + 3 {
            cache.keep(&format!("{number:040x}"), &layouts()).unwrap();
        }
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), KEPT);
    }

    /// Check that the environment is heard in its order, and that relative paths are not.
    #[test]
    fn the_environment_names_the_folder() {
        let path = |text: &str| Some(text.into());
        assert_eq!(folder(path("/x"), path("/y"), path("/z")), Some("/x".into()));
        assert_eq!(folder(path(""), path("/y"), path("/z")), None);
        assert_eq!(folder(None, path("/y"), path("/z")), Some("/y/profiler-daemon".into()));
        assert_eq!(folder(None, path("y"), path("/z")), Some("/z/.cache/profiler-daemon".into()));
        assert_eq!(folder(None, None, None), None);
    }
}
