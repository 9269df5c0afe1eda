//! What is committed beside the object: its hash, the hash of its sources, and what built it.

use super::sources;
use super::toolchain::Versions;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// `object/manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// SHA-256 of `profiler.bpf.o`.
    pub(crate) sha256: String,
    /// Hash over all that the object is made of.
    pub(crate) source_hash: String,
    /// What built it.
    #[serde(flatten)]
    pub(crate) versions: Versions,
    /// The compiler flags, without those that rename folders.
    pub(crate) flags: Vec<String>,
}

/// The object's place.
pub(crate) fn object_file(crate_folder: &Path) -> PathBuf {
    crate_folder.join("object/profiler.bpf.o")
}

/// The manifest's place.
pub(crate) fn manifest_file(crate_folder: &Path) -> PathBuf {
    crate_folder.join("object/manifest.json")
}

impl Manifest {
    /// Reads the committed manifest.
    pub(crate) fn read(crate_folder: &Path) -> Result<Self> {
        let file = manifest_file(crate_folder);
        let text = fs::read_to_string(&file)
            .with_context(|| format!("there is no {}; run `cargo xtask build-ebpf` and commit what it makes", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no manifest; run `cargo xtask build-ebpf`", file.display()))
    }

    /// Writes object and manifest.
    pub(crate) fn write(&self, crate_folder: &Path, object: &[u8]) -> Result<()> {
        let (file, manifest) = (object_file(crate_folder), manifest_file(crate_folder));
        fs::create_dir_all(crate_folder.join("object")).context("cannot make the object's folder")?;
        fs::write(&file, object).with_context(|| format!("cannot write {}", file.display()))?;
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&manifest, text).with_context(|| format!("cannot write {}", manifest.display()))
    }

    /// Checks that the committed object is the manifest's, and that the sources are those it was built from.
    pub(crate) fn check(&self, object: &[u8], source_hash: &str) -> Result<()> {
        if sources::sha256(object) != self.sha256 {
            bail!("the committed object is not the one its manifest names; run `cargo xtask build-ebpf` and commit both");
        }
        if source_hash != self.source_hash {
            bail!(
                "the committed object is stale: its sources have changed since; run `cargo xtask build-ebpf` and commit the result"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            sha256: sources::sha256(b"object"),
            source_hash: "5".to_owned(),
            versions: Versions { rustc: "rustc 1".to_owned(), llvm: "22".to_owned(), bpf_linker: "0.13.0".to_owned() },
            flags: vec!["-Cdebuginfo=2".to_owned()],
        }
    }

    /// Check that what is written is read again, flat.
    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().unwrap();
        manifest().write(folder.path(), b"object").unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest());
        let text = fs::read_to_string(manifest_file(folder.path())).unwrap();
        assert!(text.contains("\n  \"bpf_linker\": \"0.13.0\""), "{text}");
    }

    /// Check that a foreign object and changed sources fail, each with its own sentence.
    #[test]
    fn stale_and_foreign_objects_fail() {
        manifest().check(b"object", "5").unwrap();
        assert!(manifest().check(b"objecT", "5").unwrap_err().to_string().contains("not the one its manifest names"));
        assert!(manifest().check(b"object", "6").unwrap_err().to_string().contains("stale"));
    }
}
