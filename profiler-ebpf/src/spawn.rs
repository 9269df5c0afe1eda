//! Spawns.

use profiler_common::loss::Loss;

use crate::maps::FIRST_ID;
use crate::registers::Hit;
use crate::rows::writing;
use crate::tasks::{self, Header, read_header, task_row};
use crate::{hits, keys, threads};

/// A task is spawned: it is ready from now on, and belongs to the request that is current on this thread.
#[inline(always)]
pub fn spawn(hit: &Hit) {
    let now_ns = threads::now_ns();
    if threads::gate(now_ns).is_none() {
        return;
    }
    let Some(header) = read_header(hit.first(), Loss::UnknownType) else {
        hits::refused(hit.site());
        return;
    };
    hits::accepted(hit.site());
    if header.id != 0
        && let Some(first) = FIRST_ID.get_ptr_mut(0)
    {
        // SAFETY: a live map value. Of two spawns at once the later id may stay, which is as true.
        unsafe {
            if *first == 0 || *first > header.id {
                *first = header.id;
            }
        }
    }
    spawned(&header, now_ns);
}

/// A task is put into the queue of its `LocalSet`. That makes new tasks themselves in a generic function (tokio task/list.rs,
/// `LocalOwnedTasks::bind`), so this is where one is first seen; wakes come here too. It is a spawn if the task has no row and its id was given
/// out inside the window: ids are given out in order (tokio task/id.rs).
#[inline(always)]
pub fn local(hit: &Hit) {
    let now_ns = threads::now_ns();
    if threads::gate(now_ns).is_none() {
        return;
    }
    let Some(header) = read_header(hit.first(), Loss::UnknownType) else {
        hits::refused(hit.site());
        return;
    };
    hits::accepted(hit.site());
    let first = FIRST_ID.get(0).copied().unwrap_or(0);
    if header.id == 0 || first == 0 || header.id < first || tasks::is_known(&header) {
        return;
    }
    spawned(&header, now_ns);
}

#[inline(always)]
fn spawned(header: &Header, now_ns: u64) {
    let (mut request, mut spawner, mut parent) = (0, 0, 0);
    if let Some(thread) = threads::known(threads::current().0)
        && let Some(top) = thread.frames.top()
    {
        request = top.request;
        spawner = keys::number_of(top);
        parent = tasks::id_of(top.task);
    }
    let Some(row) = task_row(header, now_ns) else { return };
    if row.polls == 0 {
        writing(row, |row| {
            row.spawned(now_ns, request);
            row.spawner = spawner;
            row.parent = parent;
        });
    }
}
