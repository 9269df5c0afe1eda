//! All requests without a trap per poll: the program's scopes are asked, through the annotation's table, to keep their own times.

use super::SessionError;
use super::table::{Asked, Table};
use crate::attach::Attached;

/// Whether they do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    /// They are to, since the window's opening (ns). `None`: they are not.
    pub(super) since_ns: Option<u64>,
    /// They have been asked.
    pub(super) armed: bool,
}

impl Keeping {
    /// Asks the program's scopes, once it is known where its threads say which scope they are in: that may be after its first one. Does
    /// nothing where they have been asked, or are not to be.
    pub(super) fn begin(&mut self, attached: &mut Attached, table: Option<&mut Table>) -> Result<(), SessionError> {
        let (Some(since_ns), false, Some(table)) = (self.since_ns, self.armed, table) else { return Ok(()) };
        let Some(offset) = table.times_offset() else { return Ok(()) };
        // First who listens, then those who speak.
        attached.watch_times(offset)?;
        table.arm(&Asked { times_since_ns: since_ns, ..Asked::default() })?;
        self.armed = true;
        Ok(())
    }
}
