//! The machine's files as the archive that the kernel unpacks into its first file system (`newc`, Documentation/driver-api/early-userspace).

use anyhow::{Context, Result};
use cpio::newc::{Builder, ModeFileType, trailer};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What lies at one path of the machine.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// These bytes, to be read.
    Text(String),
    /// A copy of this file, to be run.
    Program(PathBuf),
}

/// Writes an archive of `files`, each with its absolute path in the machine; folders are made as they are needed.
pub(crate) fn write(files: &[(String, Content)], mut out: impl Write) -> Result<()> {
    let mut number = 1;
    let mut entry = |out: &mut dyn Write, path: &str, kind: ModeFileType, mode: u32, bytes: &[u8]| -> Result<()> {
        let length = u32::try_from(bytes.len()).with_context(|| format!("{path} is too large for an initramfs"))?;
        // Names in the archive are relative to its root. Numbers tell hard links apart.
        let builder = Builder::new(path.trim_start_matches('/')).ino(number).nlink(1).mode(mode).set_mode_file_type(kind);
        number += 1;
        let mut writer = builder.write(out, length);
        writer.write_all(bytes).and_then(|()| writer.finish().map(drop)).with_context(|| format!("cannot pack {path}"))
    };
    for folder in folders(files.iter().map(|(path, _)| path.as_str())) {
        entry(&mut out, &folder, ModeFileType::Directory, 0o755, &[])?;
    }
    for (path, content) in files {
        match content {
            Content::Text(text) => entry(&mut out, path, ModeFileType::Regular, 0o644, text.as_bytes())?,
            Content::Program(file) => {
                let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                entry(&mut out, path, ModeFileType::Regular, 0o755, &bytes)?;
            }
        }
    }
    trailer(&mut out).map(drop).context("cannot end the archive")
}

/// The folders above `paths`, the outer before the inner.
fn folders<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let above = |path: &'a str| Path::new(path).ancestors().skip(1);
    paths.flat_map(above).map(|folder| folder.to_string_lossy().into_owned()).filter(|folder| folder.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpio::newc::Reader;
    use std::io::Read;

    /// Check that an archive holds its folders before their files, with modes, names and bytes.
    #[test]
    fn an_archive_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, b"\x7fELF").unwrap();
        let files = [
            ("/lib/x86/libc.so.6".to_owned(), Content::Program(program)),
            ("/plan".to_owned(), Content::Text("limit 9\n".to_owned())),
        ];
        let mut archive = Vec::new();
        write(&files, &mut archive).unwrap();
        let (mut rest, mut found) = (archive.as_slice(), Vec::new());
        loop {
            let mut reader = Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let (name, mode) = (reader.entry().name().to_owned(), reader.entry().mode());
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            found.push((name, mode, bytes));
            rest = reader.finish().unwrap();
        }
        let expected: [(&str, u32, &[u8]); 4] = [
            ("lib", 0o040_755, b""),
            ("lib/x86", 0o040_755, b""),
            ("lib/x86/libc.so.6", 0o100_755, b"\x7fELF"),
            ("plan", 0o100_644, b"limit 9\n"),
        ];
        assert_eq!(found, expected.map(|(name, mode, bytes)| (name.to_owned(), mode, bytes.to_vec())));
    }

    /// Check that a file that is not there is named.
    #[test]
    fn missing_file_is_named() {
        let files = [("/init".to_owned(), Content::Program("/no/such/file".into()))];
        let error = write(&files, Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such/file");
    }
}
