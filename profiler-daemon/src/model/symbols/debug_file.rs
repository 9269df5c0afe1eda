//! The debug file of a program: opened where it may lie, and taken only if it is of this very program.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::elf::Elf;
use super::places::{Place, Root, Sought, places};
use crate::model::text::printable;
use crate::target::mapped::open_regular;
use crate::text::hex;

/// The largest file whose checksum is computed (bytes). Reading it takes a second; a build id costs nothing.
const CHECKED_MAX: u64 = 4 << 30;

/// A debug file that belongs to its program.
#[derive(Debug)]
pub(super) struct DebugFile {
    pub(super) file: File,
    pub(super) elf: Elf,
}

/// What the search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The first file that fits.
    pub(super) file: Option<DebugFile>,
    /// Why those before it do not, one sentence each.
    pub(super) refused: Vec<String>,
}

/// Why a file is not the program's debug file.
#[derive(Debug, Error)]
enum Refusal {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is no ELF file: {0}")]
    Elf(#[from] object::read::Error),
    #[error("its build id is {found} and the program's is {wanted}")]
    BuildId { found: String, wanted: String },
    #[error("its checksum is {found:08x} and the program asks for {wanted:08x}")]
    Checksum { found: u32, wanted: u32 },
    #[error("it has more than {} GiB, too much to compute its checksum, and no build id to compare", CHECKED_MAX >> 30)]
    TooLarge,
    #[error("nothing tells that it is of this program: there is no build id in both and no checksum")]
    NothingInCommon,
    #[error("it has neither debug information nor a symbol table")]
    Empty,
}

/// Looks for the debug file of the program at `path` (in the target's view), which says `elf` of itself.
pub(super) fn find(elf: &Elf, path: &[u8], target_root: Option<&File>, debug_dirs: &[PathBuf]) -> Found {
    let target_root = target_root.filter(|root| !is_our_root(root));
    let sought = Sought {
        path: Path::new(OsStr::from_bytes(path)),
        build_id: elf.build_id.as_deref(),
        link: elf.link.as_ref().map(|link| link.name.as_slice()),
        confined: target_root.is_some(),
    };
    let mut found = Found::default();
    for place in places(sought, debug_dirs) {
        let root = target_root.filter(|_| place.root == Root::Target);
        let opened = match open_regular(root, &place.path) {
            Ok(file) => checked(file, elf),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => Err(error.into()),
        };
        match opened {
            Ok(file) => {
                found.file = Some(file);
                break;
            }
            Err(refusal) => found.refused.push(sentence(&place, path, &refusal)),
        }
    }
    found
}

fn sentence(place: &Place, program: &[u8], refusal: &Refusal) -> String {
    let path = printable(place.path.as_os_str().as_bytes());
    format!("the debug file {path} is not used for {}: {refusal}", printable(program))
}

fn is_our_root(root: &File) -> bool {
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    root.metadata().ok().map(identity) == std::fs::metadata("/").ok().map(identity)
}

fn checked(file: File, program: &Elf) -> Result<DebugFile, Refusal> {
    let elf = Elf::read(&file)?;
    match (&elf.build_id, &program.build_id, &program.link) {
        (Some(found), Some(wanted), _) if found == wanted => {}
        (Some(found), Some(wanted), _) => return Err(Refusal::BuildId { found: hex(found), wanted: hex(wanted) }),
        (_, _, Some(link)) => {
            let (found, wanted) = (checksum(&file)?, link.checksum);
            if found != wanted {
                return Err(Refusal::Checksum { found, wanted });
            }
        }
        _ => return Err(Refusal::NothingInCommon),
    }
    if elf.debug_info || elf.symbol_table { Ok(DebugFile { file, elf }) } else { Err(Refusal::Empty) }
}

/// CRC-32 of the whole file, as `.gnu_debuglink` has it.
fn checksum(mut file: &File) -> Result<u32, Refusal> {
    if file.metadata()?.len() > CHECKED_MAX {
        return Err(Refusal::TooLarge);
    }
    file.rewind()?;
    let mut hasher = crc32fast::Hasher::new();
    let mut chunk = vec![0; 1 << 16];
    let mut left = file.take(CHECKED_MAX);
    loop {
        match left.read(&mut chunk)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(chunk.get(..read).unwrap_or_default()),
        }
    }
}
