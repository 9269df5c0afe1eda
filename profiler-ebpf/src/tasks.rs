//! The rows of tasks: finding and making them by what stands at the task's header, and what becomes of them at the end.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use profiler_common::loss::Loss;
use profiler_common::record::{ChildRecord, RecordKind};
use profiler_common::task::TaskRow;

use crate::atomics::Shared;
use crate::losses::lose;
use crate::maps::{GATE, NEW_TASK, RECORDS, TASKS, TYPE_TOTALS, TYPES};
use crate::memory::{copy, read_user};
use crate::rows::{writing, written};
use crate::{globals, keys};

/// Words at a task's header that are read at once: the vtable and the id lie among them in every version of Tokio that is known.
const HEAD_WORDS: usize = 8;

/// The row of the task at `address`, if it is the one that was met there last. That is what nearly every poll finds: its type is known then,
/// and the map of types is not asked.
///
/// A function of its own, because of the words on its stack: 512 bytes are for a whole chain of calls, and a poll's start has long ones.
#[inline(never)]
pub fn polled_before(address: u64) -> Option<&'static mut TaskRow> {
    let row = find(address)?;
    let words = read_user::<[u64; HEAD_WORDS]>(address)?;
    let at = |offset: u32| words[(offset / 8) as usize & (HEAD_WORDS - 1)];
    let (vtable_at, id_at) = (globals::header_vtable_offset(), row.id_offset);
    let all_read = vtable_at < 8 * HEAD_WORDS as u32 && id_at < 8 * HEAD_WORDS as u32;
    let id = if id_at == 0 { 0 } else { at(id_at) };
    if all_read && at(vtable_at) == row.vtable && id == row.id { Some(row) } else { None }
}

/// What is read of a task's header.
pub struct Header {
    /// Its address.
    pub address: u64,
    /// The task's vtable, a runtime address.
    pub vtable: u64,
    /// Place of its type.
    pub task_type: u32,
    /// The node at which a walk of its awaits begins, and 1; 0 for none.
    pub await_root: u32,
    /// Where the id stands behind the header's address (bytes), 0 where this version has none.
    pub id_offset: u32,
    /// Tokio's task id, 0 where this version has none.
    pub id: u64,
}

/// Reads the header at `address`; a vtable that is not a known type's counts as `unknown`.
#[inline(always)]
pub fn read_header(address: u64, unknown: Loss) -> Option<Header> {
    let Some(vtable) = read_user::<u64>(address.wrapping_add(u64::from(globals::header_vtable_offset()))) else {
        lose(Loss::HeaderUnreadable);
        return None;
    };
    // SAFETY: the daemon writes this map before the window opens and never after.
    let Some(known) = (unsafe { TYPES.get(vtable) }) else {
        lose(unknown);
        return None;
    };
    let mut id = 0;
    if known.id_offset != 0 {
        let Some(read) = read_user::<u64>(address.wrapping_add(u64::from(known.id_offset))) else {
            lose(Loss::HeaderUnreadable);
            return None;
        };
        id = read;
    }
    Some(Header { address, vtable, task_type: known.task_type, await_root: known.await_root, id_offset: known.id_offset, id })
}

/// The row of the task at `header`, made or made anew if the address belonged to another task.
#[inline(always)]
pub fn task_row(header: &Header, now_ns: u64) -> Option<&'static mut TaskRow> {
    if let Some(row) = find(header.address) {
        if same_task(row, header) {
            return Some(row);
        }
        lose(Loss::AddressReused);
        if let Some(gate) = GATE.get(0) {
            keys::abandon(gate, row, now_ns);
        }
        finish(header.address, row);
        writing(row, |row| {
            *row = TaskRow { sequence: row.sequence, ..NEW_TASK };
            describe(row, header, now_ns);
        });
        return Some(row);
    }
    if TASKS.insert(header.address, &NEW_TASK, 0).is_err() {
        lose(Loss::TaskMapFull);
        return None;
    }
    let row = find(header.address)?;
    describe(row, header, now_ns);
    written(row);
    Some(row)
}

/// Fills in what the header says.
#[inline(always)]
fn describe(row: &mut TaskRow, header: &Header, now_ns: u64) {
    row.id = header.id;
    row.vtable = header.vtable;
    row.task_type = header.task_type;
    row.await_root = header.await_root;
    row.id_offset = header.id_offset;
    row.found(now_ns);
}

#[inline(always)]
fn find(address: u64) -> Option<&'static mut TaskRow> {
    // SAFETY: a map value lives as long as the program runs; who writes which word is said at `TaskRow`.
    TASKS.get_ptr_mut(address).map(|row| unsafe { &mut *row })
}

/// The id of the task at `address`, 0 where it has no row.
#[inline(always)]
pub fn id_of(address: u64) -> u64 {
    find(address).map_or(0, |row| row.id)
}

/// Whether the task has a row.
#[inline(always)]
pub fn is_known(header: &Header) -> bool {
    find(header.address).is_some_and(|row| same_task(row, header))
}

/// What stands at the header decides the type, not the site: identical poll functions may be merged by the linker.
#[inline(always)]
fn same_task(row: &TaskRow, header: &Header) -> bool {
    row.id == header.id && row.vtable == header.vtable
}

/// Adds a finished task to its type's sums, and tells the daemon of it if it belongs to a request.
#[inline(always)]
pub fn finish(address: u64, row: &TaskRow) {
    if let Some(totals) = TYPE_TOTALS.get_ptr_mut(row.task_type) {
        // SAFETY: a live map value, changed by atomic adds only.
        unsafe { (*totals).fold::<Shared>(row) };
    }
    if row.request == 0 {
        return;
    }
    let Some(mut entry) = RECORDS.reserve::<ChildRecord>(0) else {
        lose(Loss::RingFullChild);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is ours until it is submitted, and every field is written.
    unsafe {
        (*record).kind = RecordKind::Child as u32;
        (*record).padding = 0;
        (*record).header = address;
        copy(&raw mut (*record).row, row);
    }
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}
