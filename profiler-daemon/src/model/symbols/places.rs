//! Where a program's debug file may lie: only paths, in the order in which they are tried.
//!
//! The places are gdb's (gdb manual, "Separate Debug Files"), with the folders of `--debug-dir` before them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where distributions put debug files.
const SYSTEM: &str = "/usr/lib/debug";

/// In whose view of the file system a path is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Root {
    /// The target's: it may live in a container.
    Target,
    /// Our own.
    Ours,
}

/// One place to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) root: Root,
    pub(super) path: PathBuf,
}

/// The program whose debug file is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought<'p> {
    /// Its path in the target's view.
    pub(super) path: &'p Path,
    /// Its build id.
    pub(super) build_id: Option<&'p [u8]>,
    /// The name in its `.gnu_debuglink`. Untrusted bytes.
    pub(super) link: Option<&'p [u8]>,
    /// Whether the target's root directory is another one than ours.
    pub(super) confined: bool,
}

/// Every place, the first to be tried first.
pub(super) fn places(sought: Sought<'_>, debug_dirs: &[PathBuf]) -> Vec<Place> {
    let mut places = Vec::new();
    for dir in debug_dirs {
        places.extend(in_debug_dir(sought, dir).into_iter().map(|path| Place { root: Root::Ours, path }));
    }
    let by_build_id = sought.build_id.and_then(by_build_id).map(|inside| Path::new(SYSTEM).join(inside));
    let of_target = if sought.confined { Root::Target } else { Root::Ours };
    let by_link = sought.link.and_then(file_name).into_iter().flat_map(|link| by_link(sought.path, link));
    places.extend(by_build_id.iter().cloned().chain(by_link).map(|path| Place { root: of_target, path }));
    if sought.confined {
        // Debug files of a container's programs may be installed outside. There, what has the same name is another program.
        places.extend(by_build_id.map(|path| Place { root: Root::Ours, path }));
    }
    let mut seen = HashSet::new();
    places.retain(|place| seen.insert(place.clone()));
    // A link to its own name leads nowhere.
    places.retain(|place| place.root == Root::Ours && sought.confined || place.path != sought.path);
    places
}

/// By build id, then by the link's name, then by the program's own: the folder may hold the program before it was stripped.
fn in_debug_dir(sought: Sought<'_>, dir: &Path) -> Vec<PathBuf> {
    let mut inside: Vec<PathBuf> = sought.build_id.and_then(by_build_id).into_iter().collect();
    if let Some(link) = sought.link.and_then(file_name) {
        inside.push(link.into());
        inside.push(folder(sought.path).join(link));
    }
    if let Some(name) = sought.path.file_name() {
        let mut debug = name.to_owned();
        debug.push(".debug");
        inside.extend([debug.into(), name.into()]);
    }
    inside.into_iter().map(|path| dir.join(path)).collect()
}

fn by_link(program: &Path, link: &OsStr) -> [PathBuf; 3] {
    let beside = program.parent().unwrap_or(Path::new("/"));
    [beside.join(link), beside.join(".debug").join(link), Path::new(SYSTEM).join(folder(program)).join(link)]
}

/// The folder of an absolute path, to be put behind another one.
fn folder(program: &Path) -> PathBuf {
    let folder = program.parent().unwrap_or(Path::new(""));
    folder.strip_prefix("/").unwrap_or(folder).to_owned()
}

/// `.build-id/ab/cdef0123.debug`. `None`: the id is too short for that.
fn by_build_id(id: &[u8]) -> Option<PathBuf> {
    let hex = crate::text::hex(id);
    let (folder, rest) = hex.split_at_checked(2).filter(|(_, rest)| !rest.is_empty())?;
    Some(Path::new(".build-id").join(folder).join(format!("{rest}.debug")))
}

/// A link names a file, never a path: it comes from the target's file.
fn file_name(link: &[u8]) -> Option<&OsStr> {
    let plain = !link.is_empty() && !matches!(link, b"." | b"..") && !link.contains(&b'/') && !link.contains(&0);
    plain.then(|| OsStr::from_bytes(link))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought() -> Sought<'static> {
        Sought {
            path: Path::new("/srv/bin/orders"),
            build_id: Some(&[0xab, 0xcd, 0x0e]),
            link: Some(b"o.debug"),
            confined: false,
        }
    }

    fn shown(sought: Sought<'_>, debug_dirs: &[&str]) -> Vec<String> {
        let debug_dirs: Vec<PathBuf> = debug_dirs.iter().map(PathBuf::from).collect();
        places(sought, &debug_dirs).iter().map(|place| format!("{:?} {}", place.root, place.path.display())).collect()
    }

    #[test]
    fn given_folders_come_first_then_the_build_id_then_the_link() {
        assert_eq!(
            shown(sought(), &["/d"]),
            [
                "Ours /d/.build-id/ab/cd0e.debug",
                "Ours /d/o.debug",
                "Ours /d/srv/bin/o.debug",
                "Ours /d/orders.debug",
                "Ours /d/orders",
                "Ours /usr/lib/debug/.build-id/ab/cd0e.debug",
                "Ours /srv/bin/o.debug",
                "Ours /srv/bin/.debug/o.debug",
                "Ours /usr/lib/debug/srv/bin/o.debug",
            ]
        );
    }

    #[test]
    fn of_a_container_its_own_files_come_before_ours() {
        assert_eq!(
            shown(Sought { confined: true, ..sought() }, &[]),
            [
                "Target /usr/lib/debug/.build-id/ab/cd0e.debug",
                "Target /srv/bin/o.debug",
                "Target /srv/bin/.debug/o.debug",
                "Target /usr/lib/debug/srv/bin/o.debug",
                "Ours /usr/lib/debug/.build-id/ab/cd0e.debug",
            ]
        );
    }

    #[test]
    fn a_link_is_no_path_and_never_the_program_itself() {
        for link in [b"../../etc/shadow".as_slice(), b"/etc/shadow", b"..", b".", b"", b"a\0b"] {
            assert_eq!(shown(Sought { link: Some(link), build_id: None, ..sought() }, &[]), [""; 0]);
        }
        let itself = shown(Sought { link: Some(b"orders"), build_id: None, ..sought() }, &[]);
        assert_eq!(itself, ["Ours /srv/bin/.debug/orders", "Ours /usr/lib/debug/srv/bin/orders"]);
    }

    #[test]
    fn a_build_id_that_is_too_short_has_no_place() {
        for id in [[].as_slice(), &[7]] {
            assert_eq!(shown(Sought { link: None, build_id: Some(id), ..sought() }, &[]), [""; 0]);
        }
    }
}
