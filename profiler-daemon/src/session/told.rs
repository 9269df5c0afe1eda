//! What a session says of itself.

use super::{AwaitSight, Enough, Foreign, ForeignSight, Inspection, Mode, Plan, ProgramRuns, Session, Target, TaskIds, Tokens};

impl Session {
    /// The target.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// What was attached, and what is missing.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was found in the program.
    #[must_use]
    pub const fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Where the target's futures can be seen to wait.
    #[must_use]
    pub const fn awaits(&self) -> &AwaitSight {
        &self.awaits
    }

    /// Which contexts of other libraries are read.
    #[must_use]
    pub fn foreign(&self) -> Option<&ForeignSight> {
        self.foreign.as_ref().map(Foreign::sight)
    }

    /// Files of the target whose code has no unwind table, a sentence each.
    #[must_use]
    pub fn code_without_table(&self) -> &[String] {
        self.unwinding.warnings()
    }

    /// What the kernel side has said since the start, the first lines of it.
    #[must_use]
    pub fn kernel_said(&self) -> &[String] {
        &self.kernel_said
    }

    /// Whether a request of this id has ended. Never of an id that the session was not started for.
    #[must_use]
    pub fn has_ended(&self, id: &[u8]) -> bool {
        self.ended.contains(&self.shown(id))
    }

    /// Whether everything has ended that was asked for: each of the ids, or as many as were to come. Never where there is no end to it.
    #[must_use]
    pub fn has_what_was_asked(&self) -> bool {
        match self.count.enough {
            Enough::EachId => self.awaited.iter().all(|id| self.ended.contains(id)),
            Enough::After(count) => self.count.ended >= count,
            Enough::Never => false,
        }
    }

    /// Ids that were asked for one by one and of which no request has ended, in no order.
    #[must_use]
    pub fn not_ended(&self) -> Vec<Vec<u8>> {
        self.awaited.difference(&self.ended).cloned().collect()
    }

    /// Tokens that the target has met since the attach; `None` where it has no table.
    #[must_use]
    pub const fn tokens(&self) -> Option<Tokens> {
        self.tokens
    }

    /// How requests are measured.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode.mode
    }

    /// Why tasks are not told by their ids where there are no probes. `None`: they are, or there are probes.
    #[must_use]
    pub fn why_no_task_ids(&self) -> Option<&str> {
        match &self.setting.sampled {
            Some(TaskIds::Unknown(why)) => Some(why),
            Some(TaskIds::Read) | None => None,
        }
    }

    /// How many links hang on probes in the target.
    #[must_use]
    pub fn probes(&self) -> usize {
        self.attached.probes()
    }

    /// A sentence on how requests are measured, where that is not what was to be expected.
    #[must_use]
    pub const fn mode_sentence(&self) -> Option<&'static str> {
        self.mode.why
    }

    /// An id as it is shown: of a number or a UUID there are several ways to write it.
    #[must_use]
    pub fn shown(&self, id: &[u8]) -> Vec<u8> {
        self.setting.key.map_or_else(|| id.to_vec(), |key| key.shown(id))
    }

    /// What naming requests by a key means, where one does.
    #[must_use]
    pub fn naming_key(&self) -> Option<&str> {
        self.key_sentence.as_deref()
    }

    /// What the kernel says of each of our programs; of runs it says nothing unless it counts them ([`crate::attach::RunStatistics`]).
    #[must_use]
    pub fn runs(&self) -> Vec<ProgramRuns> {
        self.attached.runs()
    }
}
