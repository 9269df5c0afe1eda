//! What is the same in every snapshot of a session, found out at the first one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::super::awaits::debug_file;
use super::super::{Session, SessionError};
use super::lists::Runtime;
use crate::inspect::{OwnedLists, OwnedListsError, owned_lists};

/// What a session keeps from one snapshot to the next.
#[derive(Debug, Default)]
pub(in crate::session) struct Snapshots {
    /// A thread reads the target's memory.
    pub(super) under_way: Arc<AtomicBool>,
    /// Where debug files are looked for first.
    pub(in crate::session) debug_dirs: Vec<PathBuf>,
    program: Option<Arc<ProgramFacts>>,
    /// Runtimes that were found by tasks which may have ended since.
    pub(super) runtimes: Vec<Runtime>,
}

/// What is known of the target's program.
#[derive(Debug)]
pub(super) struct ProgramFacts {
    /// What is added to an address of the file.
    pub(super) bias: u64,
    /// Where its runtimes keep their tasks, or why that is not known.
    pub(super) lists: Result<OwnedLists, String>,
}

impl Session {
    pub(super) fn program_facts(&mut self) -> Result<Arc<ProgramFacts>, SessionError> {
        if let Some(known) = &self.snapshots.program {
            return Ok(Arc::clone(known));
        }
        let program = self.target.program()?;
        let bias = self.target.load_bias(&program)?;
        let lists = match owned_lists(program.bytes(), &self.inspection) {
            Err(OwnedListsError::NotDescribed) => self.lists_of_debug_file(),
            found => found.map_err(|error| error.to_string()),
        };
        let facts = Arc::new(ProgramFacts { bias, lists });
        self.snapshots.program = Some(Arc::clone(&facts));
        Ok(facts)
    }

    fn lists_of_debug_file(&self) -> Result<OwnedLists, String> {
        let (exe, path) = (self.target.profiled_file(), self.target.profiled());
        let (bytes, _) = debug_file(&exe, path, self.modules.root(), &self.snapshots.debug_dirs);
        let bytes = bytes.ok_or_else(|| OwnedListsError::NotDescribed.to_string())?;
        owned_lists(&bytes, &self.inspection).map_err(|error| error.to_string())
    }
}
