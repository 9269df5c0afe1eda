//! What has begun and not ended: a thread that is off its CPU inside a poll, a poll that runs on. Their records come at their ends, and a
//! deadlock or an endless loop has none.

use std::collections::HashMap;

use profiler_common::clock::OffCpu;
use profiler_common::limits::POLL_RECORD_NS;
use profiler_common::record::{POLL_OF_TASK, PollRecord, RecordKind};
use profiler_common::task::{POLLED, TaskRow};
use profiler_common::thread::ThreadRow;

use super::{Off, Stack};

/// As if it ended now.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// When.
    pub(super) at_ns: u64,
    /// Stretches off the CPU.
    pub(super) off_cpu: Vec<Off>,
    /// Polls that are long enough for a record.
    pub(super) polls: Vec<PollRecord>,
}

impl Open {
    /// What is open at `at_ns`: of the threads that are `away` with their stack and system call, and of the tasks' rows.
    pub(super) fn at(
        at_ns: u64,
        away: &HashMap<u32, (Stack, Option<u32>)>,
        tasks: &[(u64, TaskRow)],
        threads: &HashMap<u32, ThreadRow>,
    ) -> Self {
        let off = |(tid, (stack, syscall)): (&u32, &(Stack, Option<u32>))| {
            let thread = threads.get(tid)?;
            let is_this_one = thread.is_off() && thread.off_since_ns == stack.time_ns && stack.time_ns < at_ns;
            let off = thread.off_at(at_ns).since(&thread.off);
            is_this_one.then(|| Off { stack: stack.clone(), syscall: *syscall, off })
        };
        let poll = |(header, row): &(u64, TaskRow)| {
            let is_long = row.flags & POLLED != 0 && at_ns.saturating_sub(row.last_ns) >= POLL_RECORD_NS;
            let off = threads.get(&row.tid).map(|thread| thread.off_at(at_ns).since(&row.off_at_start));
            is_long.then(|| PollRecord {
                kind: RecordKind::Poll as u32,
                tid: row.tid,
                task: *header,
                task_id: row.id,
                task_type: row.task_type,
                what: POLL_OF_TASK,
                request: row.request,
                // It was taken into the poll's frame, which is not read.
                ready_ns: 0,
                start_ns: row.last_ns,
                end_ns: at_ns,
                off: off.unwrap_or_default(),
            })
        };
        Self { at_ns, off_cpu: away.iter().filter_map(off).collect(), polls: tasks.iter().filter_map(poll).collect() }
    }
}

/// How long a thread has been off its CPU at `at_ns`, if it left it outside of any task.
pub(super) fn outside(thread: &ThreadRow, at_ns: u64) -> Option<OffCpu> {
    let is_away = thread.outside != 0 && thread.is_off() && thread.off_since_ns < at_ns;
    is_away.then(|| thread.off_at(at_ns).since(&thread.off))
}

#[cfg(test)]
mod tests {
    use profiler_common::thread::OffReason;
    use profiler_common::unwind::End;

    use super::*;

    fn stack(time_ns: u64) -> Stack {
        Stack {
            time_ns,
            tid: 7,
            task_type: None,
            task_id: 5,
            requests: [0; 4],
            poll_start_ns: 1,
            frames: Box::new([1]),
            end: End::Poll,
        }
    }

    /// Check that a thread that sleeps on is blocked up to now, and that one that is back, or away anew, is not.
    #[test]
    fn a_sleep_without_end_is_seen() {
        let mut thread = ThreadRow::NEW;
        thread.on_switch_out(1000, OffReason::Asleep);
        let at = |thread: ThreadRow, left_ns| {
            let away = HashMap::from([(7, (stack(left_ns), Some(202)))]);
            Open::at(9000, &away, &[], &HashMap::from([(7, thread)])).off_cpu
        };
        let open = at(thread, 1000);
        assert_eq!(open.iter().map(|off| (off.off.blocked_ns, off.syscall)).collect::<Vec<_>>(), [(8000, Some(202))]);
        assert!(at(thread, 500).is_empty(), "its record belongs to an earlier stretch");
        let _ = thread.on_switch_in(2000);
        assert!(at(thread, 1000).is_empty(), "it is back");
    }

    #[test]
    fn a_thread_that_waits_for_work_is_seen() {
        let mut thread = ThreadRow { outside: 1, ..ThreadRow::NEW };
        thread.on_switch_out(1000, OffReason::Asleep);
        assert_eq!(outside(&thread, 9000).map(|off| off.blocked_ns), Some(8000));
        assert_eq!(outside(&ThreadRow { outside: 0, ..thread }, 9000), None);
        let _ = thread.on_switch_in(2000);
        assert_eq!(outside(&thread, 9000), None);
    }

    /// Check that a poll without end is seen with what it ran, and a short or closed one is not.
    #[test]
    fn a_poll_without_end_is_seen() {
        let row = TaskRow { flags: POLLED, id: 5, tid: 7, last_ns: 1000, ..TaskRow::default() };
        let at =
            |row: TaskRow, at_ns| Open::at(at_ns, &HashMap::new(), &[(0x10, row)], &HashMap::from([(7, ThreadRow::NEW)])).polls;
        let open = at(row, 1000 + POLL_RECORD_NS);
        assert_eq!(
            open.iter().map(|poll| (poll.task_id, poll.end_ns - poll.start_ns)).collect::<Vec<_>>(),
            [(5, POLL_RECORD_NS)]
        );
        assert!(at(row, 2000).is_empty());
        assert!(at(TaskRow { flags: 0, ..row }, 1000 + POLL_RECORD_NS).is_empty());
    }
}
