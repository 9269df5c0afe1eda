//! The report's part on stacks: how they were taken, how their walks ended, and the tables they were walked by.

use std::collections::BTreeMap;

use serde::Deserialize;

/// See the module.
#[derive(Clone, Debug, Deserialize)]
pub struct Stacks {
    /// Were they taken in every poll, and not only inside wanted requests and their children?
    pub every_poll: bool,
    /// CPU time between two samples outside of wanted requests.
    pub period_ns: Option<u64>,
    /// Polls shorter than this left no record.
    pub poll_record_ns: u64,
    /// Stacks walked.
    pub walks: u64,
    /// Frames found.
    pub frames: u64,
    /// Walks by how they ended.
    pub ends: BTreeMap<String, u64>,
    /// The unwind tables.
    pub tables: Tables,
}

/// What unwind tables there were.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Tables {
    /// Files, the vDSO included.
    pub files: u64,
    /// Rows of all of them.
    pub rows: u64,
    /// Kernel memory for them.
    pub bytes: u64,
}

impl Stacks {
    /// Walks that ended at the task's poll function or at the thread's root.
    #[must_use]
    pub fn whole(&self) -> u64 {
        ["poll", "root"].iter().filter_map(|end| self.ends.get(*end)).sum()
    }
}
