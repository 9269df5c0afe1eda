//! Where a result goes, opened before the work so that a wrong path costs no recording.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::PathBuf,
};

use thiserror::Error;

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
        let open_error = |source| OutputError::Open { path: path.clone(), source };
        // `create_new` first, to know whether the file is ours to remove if nothing comes of it.
        let (file, new) = match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (OpenOptions::new().write(true).open(path).map_err(open_error)?, false)
            }
            Err(error) => return Err(open_error(error)),
        };
        Ok(PendingOutput { place: Place::File { path: path.clone(), file, remove: new } })
    }
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
