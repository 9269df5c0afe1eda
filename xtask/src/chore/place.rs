//! Where things lie in the repository.

use std::path::{Path, PathBuf};

/// The repository's root: this crate's parent folder.
pub(crate) fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// The folder of everything that can be built again.
pub(crate) fn target() -> PathBuf {
    repository().join("target")
}

/// `path` as a reader of this repository would write it: relative to the root where it lies inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}
