//! The hash over everything that the object is made of.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The inputs, seen from the folder that holds `profiler-ebpf` and `profiler-common`.
const INPUTS: [&str; 5] = [
    "profiler-ebpf/Cargo.toml",
    "profiler-ebpf/Cargo.lock",
    "profiler-ebpf/src",
    "profiler-common/Cargo.toml",
    "profiler-common/src",
];

/// One hash over names and contents of all inputs below `house`; a missing `Cargo.lock` reads as empty.
pub(crate) fn hash(house: &Path, crate_folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        let path = match input.strip_prefix("profiler-ebpf/") {
            Some(rest) => crate_folder.join(rest),
            None => house.join(input),
        };
        collect(&path, input, &mut files)?;
    }
    files.sort();
    let mut all = Sha256::new();
    for (name, path) in files {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        all.update(format!("{name}\0{}\0", bytes.len()));
        all.update(bytes);
    }
    Ok(hex(&all.finalize()))
}

/// The SHA-256 of `bytes` in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn collect(path: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    if !path.is_dir() {
        if path.exists() {
            files.push((name.to_owned(), path.to_path_buf()));
        }
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry?;
        collect(&entry.path(), &format!("{name}/{}", entry.file_name().to_string_lossy()), files)?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house() -> tempfile::TempDir {
        let house = tempfile::tempdir().unwrap();
        for folder in ["profiler-ebpf/src", "profiler-common/src"] {
            fs::create_dir_all(house.path().join(folder)).unwrap();
        }
        fs::write(house.path().join("profiler-ebpf/src/main.rs"), "one").unwrap();
        fs::write(house.path().join("profiler-common/src/lib.rs"), "two").unwrap();
        house
    }

    /// Check that the folder does not matter, and that a changed byte, a new file and a renamed file do.
    #[test]
    fn hash_follows_content() {
        let (house, other) = (house(), house());
        let of = |house: &tempfile::TempDir| hash(house.path(), &house.path().join("profiler-ebpf")).unwrap();
        let first = of(&house);
        assert_eq!(first, of(&other));
        fs::write(other.path().join("profiler-common/src/lib.rs"), "twO").unwrap();
        assert_ne!(first, of(&other));
        fs::write(other.path().join("profiler-common/src/lib.rs"), "two").unwrap();
        assert_eq!(first, of(&other));
        fs::rename(other.path().join("profiler-ebpf/src/main.rs"), other.path().join("profiler-ebpf/src/other.rs")).unwrap();
        assert_ne!(first, of(&other));
    }

    /// Check the hash function against its standard's example.
    #[test]
    fn sha256_of_abc() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
