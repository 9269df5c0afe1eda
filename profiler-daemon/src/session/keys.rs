//! Requests named by a key of the application: which key, how it is read, and why it cannot be.

use profiler_common::awaits::RequestKey;
use profiler_common::foreign::{ACCESS_STATIC, ForeignSlot, ForeignSlots, SLOT_KEY};

use super::SessionError;
use super::awaits::AwaitSight;
use crate::inspect::TokioVersion;
use crate::inspect::awaits::{KeyLocalError, find_key, key_local};
use crate::model::KeyFormat;
use crate::plan::Plan;
use crate::target::program::Program;

/// The key that names a session's requests.
#[derive(Clone, Debug)]
pub(super) struct NamingKey {
    /// Its path.
    pub(super) name: String,
    /// What the kernel side reads by, with the key's address in the process.
    pub(super) row: RequestKey,
    /// What its values are.
    pub(super) format: KeyFormat,
    /// Where a thread has the value inside a poll (bytes from the thread pointer).
    local: Result<i64, KeyLocalError>,
    /// Task types whose polls are seen to end too late for their memory to be read.
    late: usize,
}

impl NamingKey {
    /// The key called `wanted`, if one is, of a program that is loaded `bias` beyond its file's addresses.
    pub(super) fn of(
        wanted: Option<&str>,
        sight: &AwaitSight,
        plan: &Plan,
        program: (&Program, Option<TokioVersion>),
        bias: u64,
    ) -> Result<Option<Self>, SessionError> {
        wanted.map(|wanted| Self::find(wanted, sight, plan, program, bias)).transpose()
    }

    fn find(
        wanted: &str,
        sight: &AwaitSight,
        plan: &Plan,
        (program, tokio): (&Program, Option<TokioVersion>),
        bias: u64,
    ) -> Result<Self, SessionError> {
        let Some(layouts) = &sight.layouts else {
            let why = sight.why.clone().unwrap_or_else(|| "there is no debug information".to_owned());
            return Err(SessionError::KeyWithoutLayouts { wanted: wanted.to_owned(), why });
        };
        if !plan.poll_end.is_before_release() {
            return Err(SessionError::KeyAfterRelease { wanted: wanted.to_owned() });
        }
        let (key, layout) = find_key(&layouts.keys, wanted)?;
        let row = RequestKey { local: key.address.wrapping_add(bias), ..layout.recipe };
        Ok(Self {
            name: key.name.clone(),
            row,
            format: KeyFormat { kind: layout.kind, width: layout.recipe.width },
            local: key_local(program.bytes(), key, tokio),
            late: plan.other_ends.len(),
        })
    }

    /// Ids as the values that they are of.
    pub(super) fn values(&self, ids: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, SessionError> {
        ids.iter().map(|id| Ok(self.format.value(id)?)).collect()
    }

    /// The place of the thread-local, for the kernel side.
    pub(super) fn slots(&self) -> Option<ForeignSlots> {
        let offset = self.local.as_ref().ok()?.cast_unsigned();
        let slot = ForeignSlot { kind: SLOT_KEY, access: ACCESS_STATIC, offset, ..ForeignSlot::NONE };
        let mut slots = ForeignSlots { count: 1, ..ForeignSlots::NONE };
        *slots.slots.first_mut()? = slot;
        Some(slots)
    }

    /// What it costs to read it, and what that means, for whoever attaches.
    pub(super) fn sentence(&self) -> String {
        let late = match self.late {
            0 => String::new(),
            late => format!(
                "; requests in tasks of {late} types are not seen: the ends of their polls are only seen after the release"
            ),
        };
        let inside = match &self.local {
            Ok(_) => String::new(),
            Err(why) => format!("; several requests in one poll are not told apart: {why}"),
        };
        format!(
            "requests are named by the task-local key {}: every task's futures are walked at the end of each of its polls, and time in a \
             request is that of whole polls of its task{late}{inside}",
            self.name
        )
    }
}
