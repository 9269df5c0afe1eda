//! Records of what has a start and an end: a stretch off the CPU, a poll; and of wakes.

use aya_ebpf::bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use profiler_common::clock::{OffCpu, Snapshot};
use profiler_common::frame::Frame;
use profiler_common::gate::{Gate, TELL_BEGIN};
use profiler_common::loss::Loss;
use profiler_common::record::{BackRecord, BeginRecord, POLL_OF_SCOPE, POLL_OF_TASK, PollRecord, RecordKind, WakeRecord};
use profiler_common::scope::ScopeRow;
use profiler_common::task::{CARRIER, TaskRow};
use profiler_common::thread::ThreadRow;

use crate::losses::lose;
use crate::maps::RECORDS;
use crate::{tasks, threads};

/// Writes `record` into the ring buffer, or counts `full`. The daemon looks several times a second by itself, and a wake-up costs the target.
#[inline(always)]
pub fn put<T: 'static>(record: T, wakeup: u32, full: Loss) {
    match RECORDS.reserve::<T>(0) {
        Some(mut entry) => {
            entry.write(record);
            entry.submit(u64::from(wakeup));
        }
        None => lose(full),
    }
}

/// How a record goes out: with the daemon woken if that is what it wants of such records, the `TELL_` bit of the gate.
#[inline(always)]
pub fn told(gate: &Gate, bit: u32) -> u32 {
    if gate.tell & bit == 0 { BPF_RB_NO_WAKEUP } else { BPF_RB_FORCE_WAKEUP }
}

/// Thread `tid` has a CPU again after `off`. Says so if its leaving was recorded.
#[inline(always)]
pub fn back(row: &mut ThreadRow, tid: u32, off: OffCpu) {
    let since_ns = row.recorded_ns;
    if since_ns == 0 {
        return;
    }
    row.recorded_ns = 0;
    put(BackRecord { kind: RecordKind::Back as u32, tid, since_ns, off }, BPF_RB_NO_WAKEUP, Loss::RingFullOffCpu);
}

/// The task of `row` is about to end the poll that `frame` opened.
#[inline(always)]
pub fn poll(gate: &Gate, frame: &Frame, row: &TaskRow, snapshot: &Snapshot) {
    let elapsed = snapshot.now_ns.saturating_sub(row.last_ns);
    if elapsed < gate.poll_record_ns && frame.request == 0 && row.flags & CARRIER == 0 {
        return;
    }
    let record = PollRecord {
        kind: RecordKind::Poll as u32,
        tid: row.tid,
        task: frame.key,
        task_id: row.id,
        task_type: row.task_type,
        what: POLL_OF_TASK,
        request: row.request,
        ready_ns: frame.ready_ns,
        start_ns: row.last_ns,
        end_ns: row.last_ns + elapsed,
        off: snapshot.off.since(&row.off_at_start),
    };
    put(record, BPF_RB_NO_WAKEUP, Loss::RingFullPoll);
}

/// The scope of `row`, number `sequence`, is about to be left; `frame` is what its entry opened.
#[inline(always)]
pub fn scope(frame: &Frame, sequence: u64, row: &ScopeRow, snapshot: &Snapshot) {
    let elapsed = snapshot.now_ns.saturating_sub(row.last_ns);
    let record = PollRecord {
        kind: RecordKind::Poll as u32,
        tid: row.tid,
        task: row.task,
        task_id: row.task_id,
        task_type: row.task_type,
        what: POLL_OF_SCOPE,
        request: sequence,
        ready_ns: frame.ready_ns,
        start_ns: row.last_ns,
        end_ns: row.last_ns + elapsed,
        off: snapshot.off.since(&row.off_at_enter),
    };
    put(record, BPF_RB_NO_WAKEUP, Loss::RingFullPoll);
}

/// The poll that the row of the scope `sequence` says, which is not its only one any more.
#[inline(always)]
pub fn only_poll(sequence: u64, row: &ScopeRow) {
    if let Some(record) = row.only_poll(sequence) {
        put(record, BPF_RB_NO_WAKEUP, Loss::RingFullPoll);
    }
}

/// The task of `row` at `address` was woken to some effect.
#[inline(always)]
pub fn wake(gate: &Gate, address: u64, row: &TaskRow, now_ns: u64) {
    let (tid, _) = threads::current();
    let top = threads::known(tid).and_then(|thread| thread.frames.top());
    let by_task = top.map_or(0, |top| top.task);
    // Of a request: it carries one, was spawned by one, or is woken from inside of one.
    let wanted = row.flags & CARRIER != 0 || row.request != 0 || top.is_some_and(|top| top.request != 0);
    if gate.wake_all == 0 && !wanted {
        return;
    }
    // Most wakes come from no task, but from the worker itself when its sockets or timers are ready.
    let by_task_id = if by_task == 0 { 0 } else { tasks::id_of(by_task) };
    let record = WakeRecord {
        kind: RecordKind::Wake as u32,
        tid,
        time_ns: now_ns,
        task: address,
        task_id: row.id,
        task_type: row.task_type,
        padding: 0,
        by_task,
        by_task_id,
    };
    put(record, BPF_RB_NO_WAKEUP, Loss::RingFullWake);
}

/// A request that was asked for by name was entered for the first time. The daemon then samples faster.
#[inline(always)]
pub fn begin(gate: &Gate, scope: u64) {
    let (tid, _) = threads::current();
    let record = BeginRecord { kind: RecordKind::Begin as u32, tid, scope, time_ns: threads::now_ns() };
    put(record, told(gate, TELL_BEGIN), Loss::BeginLost);
}
