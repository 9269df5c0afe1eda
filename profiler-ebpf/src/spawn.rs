//! Spawns.

use profiler_common::loss::Loss;

use crate::registers::Hit;
use crate::rows::writing;
use crate::tasks::{read_header, task_row};
use crate::threads;

/// A task is spawned: it is ready from now on, and belongs to the request that is current on this thread.
#[inline(always)]
pub fn spawn(hit: &Hit) {
    let now_ns = threads::now_ns();
    if threads::gate(now_ns).is_none() {
        return;
    }
    let Some(header) = read_header(hit.first(), Loss::UnknownType) else { return };
    let request = threads::known(threads::current().0).map_or(0, |thread| thread.frames.current_request());
    let Some(row) = task_row(&header, now_ns) else { return };
    if row.polls == 0 {
        writing(row, |row| row.spawned(now_ns, request));
    }
}
