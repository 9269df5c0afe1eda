//! Where a result goes, opened before the work so that a wrong path costs no recording.

mod file;

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use thiserror::Error;

use file::NoFile;
pub use file::Planted;

/// Where a result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output, written as `-`.
    Stdout,
    /// A file; what stood in it is replaced.
    File(PathBuf),
}

/// Bytes of a result that are kept until they are written.
const BUFFER: usize = 256 * 1024;

/// A result that could not be written.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The file could not be opened for writing.
    #[error("cannot open {} for writing", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else may have put what has the name.
    #[error("{} {}", path.display(), match planted {
        Planted::Link => "is a symbolic link in a folder where others can write: name the file itself, or another folder",
        Planted::File => "is another user's, or has another name too, in a folder where others can write: remove it, or name another",
    })]
    Planted {
        /// The file.
        path: PathBuf,
        /// What it is.
        planted: Planted,
    },
    /// The write failed.
    #[error("cannot write {}", .path.as_ref().map_or_else(|| "to standard output".to_owned(), |path| path.display().to_string()))]
    Write {
        /// The file, or standard output if `None`.
        path: Option<PathBuf>,
        /// What the system said.
        source: io::Error,
    },
}

impl From<PathBuf> for Output {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdout } else { Self::File(path) }
    }
}

impl Output {
    /// Opens the place, and changes nothing in it until [`PendingOutput::write`].
    pub fn open(&self) -> Result<PendingOutput, OutputError> {
        let Self::File(path) = self else {
            return Ok(PendingOutput { place: Place::Stdout });
        };
        let (file, new) = open_file(path)?;
        Ok(PendingOutput { place: Place::File { path: path.clone(), file, remove: new } })
    }
}

/// Opens a file for a result, unless somebody else may have put what has the name. Whether it is new, and so ours to remove.
fn open_file(path: &Path) -> Result<(File, bool), OutputError> {
    file::open(path).map_err(|error| match error {
        NoFile::Planted(planted) => OutputError::Planted { path: path.to_owned(), planted },
        NoFile::System(source) => OutputError::Open { path: path.to_owned(), source },
    })
}

/// A place that is open and not yet written. Dropped unwritten, it removes the file if it made it.
#[derive(Debug)]
pub struct PendingOutput {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stdout,
    File { path: PathBuf, file: File, remove: bool },
}

impl PendingOutput {
    /// The folder from which the file is removed again if nothing comes of it.
    #[must_use]
    pub fn removed_from(&self) -> Option<PathBuf> {
        let Place::File { path, remove: true, .. } = &self.place else { return None };
        path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.to_owned())
    }

    /// The open file, as it is, emptied; `None`: standard output. It stays, whatever comes of it.
    pub fn into_file(mut self) -> Result<Option<File>, OutputError> {
        match &mut self.place {
            Place::Stdout => Ok(None),
            Place::File { path, file, remove } => {
                let failed = |source| OutputError::Write { path: Some(path.clone()), source };
                let own = truncate(file).and_then(|()| file.try_clone()).map_err(failed)?;
                *remove = false;
                Ok(Some(own))
            }
        }
    }

    /// Writes the whole result.
    pub fn write(self, bytes: &[u8]) -> Result<(), OutputError> {
        self.write_by(|to| to.write_all(bytes))
    }

    /// Writes the result as `write` makes it, in small parts.
    pub fn write_by(mut self, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<(), OutputError> {
        match &mut self.place {
            Place::Stdout => {
                let mut stdout = BufWriter::with_capacity(BUFFER, io::stdout().lock());
                let written = write(&mut stdout).and_then(|()| stdout.flush());
                written.map_err(|source| OutputError::Write { path: None, source })
            }
            Place::File { path, file, remove } => {
                let written = truncate(file).and_then(|()| {
                    let mut buffered = BufWriter::with_capacity(BUFFER, file);
                    write(&mut buffered).and_then(|()| buffered.flush())
                });
                written.map_err(|source| OutputError::Write { path: Some(path.clone()), source })?;
                *remove = false;
                Ok(())
            }
        }
    }
}

/// Empties a regular file; a pipe or `/dev/stdout` has nothing to empty and answers EINVAL.
fn truncate(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

impl Drop for PendingOutput {
    fn drop(&mut self) {
        if let Place::File { path, remove: true, .. } = &self.place {
            // Nothing better can be done about a file that cannot be removed again.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_only_when_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.svg");
        std::fs::write(&path, "an older and longer result").unwrap();
        drop(Output::from(path.clone()).open().unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older and longer result");
        Output::from(path.clone()).open().unwrap().write(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn an_unwritten_new_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.svg");
        let pending = Output::from(path.clone()).open().unwrap();
        assert!(path.exists());
        drop(pending);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_at_once() {
        let error = Output::from(PathBuf::from("/no/such/folder/x.svg")).open().unwrap_err();
        assert_eq!(error.to_string(), "cannot open /no/such/folder/x.svg for writing");
    }

    #[test]
    fn a_dash_is_standard_output() {
        assert_eq!(Output::from(PathBuf::from("-")), Output::Stdout);
        assert_eq!(Output::from(PathBuf::from("./-")), Output::File(PathBuf::from("./-")));
    }
}
