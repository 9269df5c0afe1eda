//! Reading rows that the kernel side may be writing.

use profiler_common::task::{POLLED, READY, TaskRow, YIELDED};
use profiler_common::thread::{OffReason, ThreadRow};

use super::{Doing, LiveTask};

/// What came of reading a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read<T> {
    /// A row that no writer touched meanwhile.
    Whole(T),
    /// A writer was at work at every try.
    Torn,
    /// There is no such row any more.
    Gone,
}

/// A thread's row, as far as switches write it: two readings are the same if nothing was switched between them. What else is in the row is
/// written by the thread's own handlers and not read here.
#[derive(Debug)]
pub(super) struct Switches(pub(super) ThreadRow);

impl PartialEq for Switches {
    fn eq(&self, other: &Self) -> bool {
        let key = |row: &ThreadRow| (row.sequence, row.off_reason, row.off_since_ns, row.woken_ns, row.switched_ns, row.off);
        key(&self.0) == key(&other.0)
    }
}

const TRIES: usize = 8;

/// Reads until two reads in a row agree and the sequence number is even. The kernel copies a value without a lock, so one read may be
/// half old and half new; two equal ones are not, because every write moves the number.
pub(super) fn whole<T: PartialEq>(mut read: impl FnMut() -> Option<T>, sequence: impl Fn(&T) -> u32) -> Read<T> {
    let Some(mut last) = read() else { return Read::Gone };
    for _ in 0..TRIES {
        let Some(next) = read() else { return Read::Gone };
        if next == last && sequence(&next).is_multiple_of(2) {
            return Read::Whole(next);
        }
        last = next;
    }
    Read::Torn
}

/// A live task at `at_ns`, by its row and its thread's.
pub(super) fn live(header: u64, row: &TaskRow, thread: Option<&ThreadRow>, at_ns: u64) -> LiveTask {
    let doing = doing(row, thread, at_ns);
    let since_ns = match (doing, thread) {
        (Doing::Preempted, Some(thread)) => thread.off_since_ns.max(thread.woken_ns).max(row.last_ns),
        (Doing::Blocked, Some(thread)) => thread.off_since_ns.max(row.last_ns),
        // Its poll ended in a wake, or a wake came later.
        (Doing::Scheduled, _) if row.flags & (READY | YIELDED) == 0 => row.first_wake_ns.max(row.last_ns),
        _ => row.last_ns,
    };
    LiveTask { header, row: row.projected(thread, at_ns), doing, since_ns }
}

/// What a live task does at `at_ns`.
pub(super) fn doing(row: &TaskRow, thread: Option<&ThreadRow>, at_ns: u64) -> Doing {
    if row.flags & POLLED == 0 {
        let ready = row.flags & (READY | YIELDED) != 0 || row.first_wake_ns != 0;
        return if ready { Doing::Scheduled } else { Doing::Suspended };
    }
    let Some(thread) = thread else { return Doing::Running };
    if thread.off_reason == OffReason::OnCpu as u32 {
        Doing::Running
    } else if thread.off_reason == OffReason::Preempted as u32
        || thread.woken_ns >= thread.off_since_ns && thread.woken_ns < at_ns
    {
        Doing::Preempted
    } else {
        Doing::Blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a row seen twice the same is whole, and that odd, changing and vanished ones are told apart.
    #[test]
    fn only_equal_and_even_rows_are_whole() {
        assert_eq!(whole(|| Some(4), |row| *row), Read::Whole(4));
        assert_eq!(whole(|| Some(5), |row| *row), Read::Torn);
        let mut moving = 0;
        assert_eq!(
            whole(
                || {
                    moving += 2;
                    Some(moving)
                },
                |row| *row
            ),
            Read::Torn
        );
        let mut settles = vec![6, 6, 5, 4].into_iter().rev();
        assert_eq!(whole(|| settles.next(), |row| *row), Read::Whole(6));
        assert_eq!(whole(|| None::<u32>, |row| *row), Read::Gone);
    }
}
