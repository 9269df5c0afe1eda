//! How many rows the maps take that grow with the target: tasks and requests.
//!
//! Neither map is allocated before use, so a row costs memory only while there is something to be in it. What room costs at once is a list head of
//! 16 bytes for each row that there may be (`htab_map_alloc`, kernel/bpf/hashtab.c: as many buckets as entries, rounded up to a power of two):
//! 4 MB for the tasks that there is room for where nobody says, 16 MB for a million. Requests have 64 slots besides, in 20 kB
//! (`profiler_common::limits::SCOPE_SLOTS`).

use profiler_common::limits::{SCOPES, TASKS, TIMED};

/// The most rows that can be asked for: 256 MB of list heads.
pub const MAX_ROOM: u32 = 1 << 24;

/// Room in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Tasks that live at once. `None`: [`TASKS`].
    pub tasks: Option<u32>,
    /// Wanted requests that are in flight at once. `None`: [`SCOPES`].
    pub requests: Option<u32>,
}

impl Room {
    pub(super) fn tasks(self) -> u32 {
        within(self.tasks.unwrap_or(TASKS))
    }

    pub(super) fn requests(self) -> u32 {
        within(self.requests.unwrap_or(SCOPES))
    }

    /// Requests that keep their own times and have been off their CPU in a poll. That map is allocated before use.
    pub(super) fn timed(self) -> u32 {
        within(self.requests.unwrap_or(TIMED))
    }
}

/// A map has an entry, and the kernel refuses what overflows its sizes.
fn within(rows: u32) -> u32 {
    rows.clamp(1, MAX_ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_was_asked_for_within_reason() {
        let none = Room::default();
        assert_eq!((none.tasks(), none.requests(), none.timed()), (TASKS, SCOPES, TIMED));
        let asked = Room { tasks: Some(1_000_000), requests: Some(100_000) };
        assert_eq!((asked.tasks(), asked.requests(), asked.timed()), (1_000_000, 100_000, 100_000));
        let odd = Room { tasks: Some(0), requests: Some(u32::MAX) };
        assert_eq!((odd.tasks(), odd.requests()), (1, MAX_ROOM));
    }
}
