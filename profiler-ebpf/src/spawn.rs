//! Spawns.

use profiler_common::loss::Loss;

use crate::registers::Hit;
use crate::rows::writing;
use crate::tasks::{self, read_header, task_row};
use crate::{keys, threads};

/// A task is spawned: it is ready from now on, and belongs to the request that is current on this thread.
#[inline(always)]
pub fn spawn(hit: &Hit) {
    let now_ns = threads::now_ns();
    if threads::gate(now_ns).is_none() {
        return;
    }
    let Some(header) = read_header(hit.first(), Loss::UnknownType) else { return };
    let (mut request, mut spawner, mut parent) = (0, 0, 0);
    if let Some(thread) = threads::known(threads::current().0)
        && let Some(top) = thread.frames.top()
    {
        request = top.request;
        spawner = keys::number_of(top);
        parent = tasks::id_of(top.task);
    }
    let Some(row) = task_row(&header, now_ns) else { return };
    if row.polls == 0 {
        writing(row, |row| {
            row.spawned(now_ns, request);
            row.spawner = spawner;
            row.parent = parent;
        });
    }
}
