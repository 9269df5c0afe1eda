//! `/proc/PID/maps` (proc(5), fs/proc/task_mmu.c) to plain structs.

use std::path::{Path, PathBuf};

use super::path_of;

/// What the kernel appends to the path of a file that is gone.
const DELETED: &[u8] = b" (deleted)";

/// What is mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Memory without a file or name.
    Anonymous,
    /// Something of the kernel's: `[heap]`, `[stack]`, `[vdso]`, `[uprobes]`, `anon_inode:...`.
    Special(String),
    /// A file.
    File {
        /// Its path as the kernel shows it to us; inside a container it is the container's.
        path: PathBuf,
        /// Whether the file was deleted or replaced since it was mapped.
        deleted: bool,
    },
}

/// One line of `maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// May be run.
    pub executable: bool,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Major and minor number of the file's device.
    pub device: (u32, u32),
    /// The file's inode; 0 if there is none.
    pub inode: u64,
    /// What is mapped.
    pub backing: Backing,
}

impl Mapping {
    /// The mapped file's path or the kernel's own name for what is mapped; empty for anonymous memory. Untrusted bytes.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        use std::os::unix::ffi::OsStrExt as _;
        match &self.backing {
            Backing::File { path, .. } => path.as_os_str().as_bytes(),
            Backing::Special(name) => name.as_bytes(),
            Backing::Anonymous => &[],
        }
    }

    /// Whether this is a mapping of that file.
    #[must_use]
    pub fn is_of(&self, file: &Path, file_deleted: bool) -> bool {
        matches!(&self.backing, Backing::File { path, deleted } if path == file && *deleted == file_deleted)
    }
}

/// A range of addresses and where it begins in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
}

/// A file with code in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its path as the kernel shows it to us.
    pub path: PathBuf,
    /// Whether the file was deleted or replaced since it was mapped.
    pub deleted: bool,
    /// Major and minor number of its device.
    pub device: (u32, u32),
    /// Its inode.
    pub inode: u64,
    /// Where it may be run, in address order; never empty.
    pub ranges: Vec<Range>,
}

/// Reads the whole file; `None` if a line is not as proc(5) says.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Vec<Mapping>> {
    match parse_lines(bytes) {
        (mappings, 0) => Some(mappings),
        _ => None,
    }
}

/// Reads the lines that are as proc(5) says, and counts those that are not.
#[must_use]
pub fn parse_lines(bytes: &[u8]) -> (Vec<Mapping>, usize) {
    let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    let mappings: Vec<Mapping> = lines.iter().filter_map(|text| line(text)).collect();
    let unreadable = lines.len() - mappings.len();
    (mappings, unreadable)
}

/// `START-END PERMS OFFSET MAJOR:MINOR INODE      PATH`
fn line(line: &[u8]) -> Option<Mapping> {
    let (range, rest) = field(line)?;
    let (permissions, rest) = field(rest)?;
    let (offset, rest) = field(rest)?;
    let (device, rest) = field(rest)?;
    let (inode, rest) = field(rest)?;
    let (start, end) = pair(range, '-')?;
    let (major, minor) = pair(device, ':')?;
    let &[readable, writable, executable, _shared] = permissions.as_bytes() else {
        return None;
    };
    (start < end).then_some(())?;
    Some(Mapping {
        start,
        end,
        readable: readable == b'r',
        writable: writable == b'w',
        executable: executable == b'x',
        offset: u64::from_str_radix(offset, 16).ok()?,
        device: (u32::try_from(major).ok()?, u32::try_from(minor).ok()?),
        inode: inode.parse().ok()?,
        backing: backing(rest.trim_ascii_start()),
    })
}

fn field(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b' ').unwrap_or(bytes.len());
    let (field, rest) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(field).ok()?, rest.get(1..).unwrap_or_default()))
}

fn pair(text: &str, between: char) -> Option<(u64, u64)> {
    let (first, second) = text.split_once(between)?;
    Some((u64::from_str_radix(first, 16).ok()?, u64::from_str_radix(second, 16).ok()?))
}

fn backing(name: &[u8]) -> Backing {
    match name.first() {
        None => Backing::Anonymous,
        Some(b'/') => {
            let (path, deleted) = without_deleted(&unescape(name));
            Backing::File { path, deleted }
        }
        Some(_) => Backing::Special(String::from_utf8_lossy(name).into_owned()),
    }
}

/// Splits off the kernel's ` (deleted)`. A file whose own name ends so reads as deleted; it is matched all the same,
/// because the `exe` link reads alike.
pub(super) fn without_deleted(path: &[u8]) -> (PathBuf, bool) {
    path.strip_suffix(DELETED).map_or_else(|| (path_of(path), false), |path| (path_of(path), true))
}

/// The kernel writes a newline in a path as `\012`, and nothing else so (`seq_path(m, path, "\n")`).
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\012") {
            plain.push(b'\n');
            rest = after;
        } else {
            plain.push(byte);
            rest = after;
        }
    }
    plain
}

/// The files with code, in the order of their first code.
#[must_use]
pub fn modules(mappings: &[Mapping]) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for mapping in mappings.iter().filter(|mapping| mapping.executable) {
        let Backing::File { path, deleted } = &mapping.backing else {
            continue;
        };
        let range = Range { start: mapping.start, end: mapping.end, offset: mapping.offset };
        let same = modules
            .iter_mut()
            .find(|module| (module.device, module.inode, &module.path) == (mapping.device, mapping.inode, path));
        match same {
            Some(module) => module.ranges.push(range),
            None => modules.push(Module {
                path: path.clone(),
                deleted: *deleted,
                device: mapping.device,
                inode: mapping.inode,
                ranges: vec![range],
            }),
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAPS: &[u8] = b"\
55d0c0000000-55d0c0001000 r--p 00000000 fe:01 131                        /srv/my shop (deleted)
55d0c0001000-55d0c0005000 r-xp 00001000 fe:01 131                        /srv/my shop (deleted)
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 
7f0000002000-7f0000003000 r-xp 00002000 08:10 99                         /lib/a\\012b.so
7f0000004000-7f0000005000 r-xp 00004000 08:10 99                         /lib/a\\012b.so
7fff00000000-7fff00001000 --xp 00000000 00:00 0                          [uprobes]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn each_kind_of_line() {
        let mappings = parse(MAPS).unwrap();
        assert_eq!(mappings.len(), 8);
        let shop = PathBuf::from("/srv/my shop");
        assert_eq!(
            mappings[1],
            Mapping {
                start: 0x55d0_c000_1000,
                end: 0x55d0_c000_5000,
                readable: true,
                writable: false,
                executable: true,
                offset: 0x1000,
                device: (0xfe, 1),
                inode: 131,
                backing: Backing::File { path: shop.clone(), deleted: true },
            }
        );
        assert!(mappings[0].is_of(&shop, true) && !mappings[0].is_of(&shop, false));
        assert_eq!(mappings[2].backing, Backing::Special("[heap]".to_owned()));
        assert_eq!(mappings[3].backing, Backing::Anonymous);
        assert!(mappings[3].writable && !mappings[3].executable);
        assert_eq!(mappings[7].end, 0xffff_ffff_ff60_1000);
    }

    #[test]
    fn modules_are_files_with_code() {
        let modules = modules(&parse(MAPS).unwrap());
        let paths: Vec<_> = modules.iter().map(|module| module.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/srv/my shop", "/lib/a\nb.so"]);
        assert_eq!(modules[1].ranges.len(), 2);
        assert_eq!(modules[1].ranges[1].offset, 0x4000);
    }

    #[test]
    fn broken_lines_are_refused() {
        for bad in ["x", "1-2 r", "2-1 r-xp 0 0:0 0", "1-2 r-xp 0 0 0", "1-2 r-xp 0 0:0 x", "1-2 r-xpp 0 0:0 0"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_path_is_misread(path in "/[^\n\\\\]{0,40}") {
            let line = format!("1000-2000 r-xp 00000000 08:01 7      {path}\n");
            let mappings = parse(line.as_bytes()).unwrap();
            let (expected, deleted) = without_deleted(path.as_bytes());
            prop_assert!(mappings[0].is_of(&expected, deleted));
        }
    }
}
