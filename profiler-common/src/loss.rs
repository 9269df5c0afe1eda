//! Every way to lose or to doubt an event, each with a counter that the user sees.

macro_rules! losses {
    ($($variant:ident = $number:literal, $name:literal, $meaning:literal;)*) => {
        /// One way to lose or doubt an event. Numbers are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Loss { $(#[doc = $meaning] $variant = $number,)* }

        impl Loss {
            /// Every loss, in order of its number.
            pub const ALL: &'static [Loss] = &[$(Loss::$variant),*];

            /// The counter's name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Loss::$variant => $name,)* }
            }

            /// One sentence for the user.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Loss::$variant => $meaning,)* }
            }
        }
    };
}

losses! {
    TaskMapFull = 0, "task_map_full", "A task had no row because the map of live tasks was full.";
    ThreadMapFull = 1, "thread_map_full", "A thread of the target had no row because the map of threads was full.";
    ScopeMapFull = 2, "scope_map_full", "A request had no row because the map of requests was full, or had ended and could not wait there for the profiler.";
    FrameStackFull = 3, "frame_stack_full", "Polls nested deeper than the kernel side keeps.";
    StaleFrame = 4, "stale_frame", "A poll's frame was gone from the stack without its end having been seen.";
    PollEndUnseen = 5, "poll_end_unseen", "A task was polled again although the end of its last poll had not been seen.";
    EndWithoutStart = 6, "end_without_start", "A poll ended that had begun before the attach or whose start was lost.";
    LateEnd = 7, "late_end", "The end of a poll was seen after its task had already been polled elsewhere.";
    SnapshotTorn = 8, "snapshot_torn", "A thread was switched at every try to read its clocks; the poll's split is clamped.";
    VtableMismatch = 9, "vtable_mismatch", "A task's header did not hold the vtable of the probe site that it reached.";
    UnknownType = 10, "unknown_type", "A task was spawned whose vtable is not one of the known types.";
    HeaderUnreadable = 11, "header_unreadable", "A task's header could not be read from the target's memory.";
    RecordUnreadable = 12, "record_unreadable", "A request's record could not be read from the target's memory.";
    RecordMalformed = 13, "record_malformed", "A request's record held no request id of 1 to 64 bytes where it must stand.";
    ScopeExitUnmatched = 14, "scope_exit_unmatched", "A scope was left that was not seen being entered.";
    RingFullSample = 15, "ring_full_sample", "A sample found the ring buffer full.";
    RingFullRequest = 16, "ring_full_request", "A finished request found the ring buffer full; its row was kept in the map.";
    RingFullChild = 17, "ring_full_child", "A finished child task found the ring buffer full; it is only in its type's sums.";
    StackUnreadable = 18, "stack_unreadable", "Not counted any more; stacks that cannot be read are unwind_unreadable.";
    ClockBackwards = 19, "clock_backwards", "An event was older than the last of its task; its time was clamped.";
    AddressReused = 20, "address_reused", "A task's address belonged to another task whose end had not been seen.";
    RecursionMiss = 21, "recursion_miss", "The kernel skipped a program of ours because one was already running on that CPU.";
    RowTorn = 22, "row_torn", "A live row was being written at every try to read it and is left out of this report.";
    RegisterUnknown = 23, "register_unknown", "A probe site's cookie named a register that the kernel side does not know.";
    SampleDropped = 24, "sample_dropped", "The daemon kept as many samples as it may and let the oldest go.";
    RequestDropped = 25, "request_dropped", "The daemon kept as many finished requests as it may and let the oldest go.";
    ChildDropped = 26, "child_dropped", "The daemon kept as many finished children as it may and let the oldest go.";
    RecordUnknown = 27, "record_unknown", "The ring buffer held a record that the daemon does not know.";
    SwitchInUnseen = 28, "switch_in_unseen", "A thread was found on a CPU although nothing had said that it got one; what it ran of that stretch is read from its own CPU clock.";
    UnwindNoMapping = 29, "unwind_no_mapping", "A stack was cut at code that lies in no mapping known when it was walked.";
    UnwindNoRow = 30, "unwind_no_row", "A stack was cut at code that its file's unwind tables do not describe.";
    UnwindUnsupported = 31, "unwind_unsupported", "A stack was cut at code whose frame is found in a way that the tables cannot say.";
    UnwindUnreadable = 32, "unwind_unreadable", "A stack was cut at a word of the target's memory that could not be read.";
    UnwindNoProgress = 33, "unwind_no_progress", "A stack was cut where a caller would not have been above its callee, or would have been beyond the task's poll.";
    UnwindTooDeep = 34, "unwind_too_deep", "A stack had more frames than are kept.";
    UnwindFramePointer = 35, "unwind_frame_pointer", "A stack was cut in code without unwind tables that keeps no frame pointer.";
    UnwindTrampoline = 36, "unwind_trampoline", "Not counted yet; what a return probe hides is asked of the kernel, and else is unwind_no_mapping.";
    UnwindRegionsFull = 37, "unwind_regions_full", "A mapping of the target has no unwind rows because there are too many mappings.";
    UnwindRowsFull = 38, "unwind_rows_full", "Unwind rows of a file were left out because the tables were full.";
    UnwindFileUnreadable = 39, "unwind_file_unreadable", "A mapped file's unwind tables could not be read; frame pointers are tried in its code.";
    RingFullOffCpu = 40, "ring_full_off_cpu", "A stretch off the CPU found the ring buffer full; its time has no stack.";
    RingFullPoll = 41, "ring_full_poll", "A poll found the ring buffer full; it is missing in timelines and lists of polls.";
    RingFullWake = 42, "ring_full_wake", "A wake found the ring buffer full; it is missing in timelines.";
    OffCpuDropped = 43, "off_cpu_dropped", "The daemon kept as many stretches off the CPU as it may and let the oldest go.";
    PollDropped = 44, "poll_dropped", "The daemon kept as many polls as it may and let the oldest go.";
    WakeDropped = 45, "wake_dropped", "The daemon kept as many wakes as it may and let the oldest go.";
    BlockingPlaceDropped = 46, "blocking_place_dropped", "The daemon knew as many blocking places as it may and did not list another.";
    BeginLost = 47, "begin_lost", "The beginning of a request found the ring buffer full; the request was sampled at the slow rate.";
    RingFullAwait = 48, "ring_full_await", "A wait found the ring buffer full; its time has no await stack.";
    AwaitDropped = 49, "await_dropped", "The daemon kept as many waits as it may and let the oldest go.";
    AwaitStacksFull = 50, "await_stacks_full", "An await stack was not kept because the map of them was full; its time has none.";
    AwaitSumsFull = 51, "await_sums_full", "A wait was not added to its type's sums because the map of them was full.";
    AwaitNoRoom = 52, "await_no_room", "The awaits of a thread's tasks were not walked because there were too many threads.";
    AwaitTypeUnread = 53, "await_type_unread", "A request's future was not walked because its type has no layout, or shares its code with another.";
    KeyUnreadable = 54, "key_unreadable", "The value of the request key could not be read from a task's memory.";
    KeyMalformed = 55, "key_malformed", "The value of the request key was a text of no bytes, or of more than 64.";
    ChildUnknown = 56, "child_unknown", "A child of a request was entered, or said to be a task, whose spawn had not been seen or had found the map of tasks full.";
    ChildUnfollowed = 57, "child_unfollowed", "A request waited for a task that it had not spawned through the annotation: that task's time is not known.";
    RequestTooFast = 58, "request_too_fast", "A request was faster than --slower-than asks for, and was dropped.";
    ForeignUnreadable = 59, "foreign_unreadable", "A request context of another library could not be read from the target's memory.";
    ForeignMalformed = 60, "foreign_malformed", "The attribute or label that names requests had no bytes, or more than 64.";
    ForeignCut = 61, "foreign_cut", "A request context of another library had more attributes or labels than are looked at.";
    ForeignLost = 62, "foreign_lost", "An id of another library's could not be told to the daemon; what carries it is called by its number.";
    ForeignDropped = 63, "foreign_dropped", "The daemon kept as many ids of other libraries as it may and let the one seen longest ago go.";
    TimesUnreadable = 64, "times_unreadable", "The times that a request had kept of itself could not be read from the target's memory; the request is missing, or a stretch off the CPU is in its running.";
    TimesMalformed = 65, "times_malformed", "The times that a request had kept of itself did not add up, or were another's; the request is missing.";
    TimesMapFull = 66, "times_map_full", "A request's time off the CPU was not kept because the map of it was full; it is in running.";
    TimesClamped = 67, "times_clamped", "A request's time off the CPU was more than its polls had taken; it was cut.";
    TimesNested = 68, "times_nested", "A thread left its CPU inside of more requests than are told of; the time is missing in the outer ones, where it is in running.";
    RingFullTimes = 69, "ring_full_times", "A finished request that had kept its own times found the ring buffer full; it is missing.";
    TaskIdUnreadable = 70, "task_id_unreadable", "The id of the task that a thread polled could not be read from its memory.";
    TaskUnseen = 71, "task_unseen", "A task ended of which nothing was known: there had been no room for it, or its only poll had begun before the attach.";
    SiteTakenOut = 72, "site_taken_out", "A probe site was reached again and again and never by a task that belongs there: it was wrong, and was taken out.";
    ChildPerhapsUnfollowed = 73, "child_perhaps_unfollowed", "A task was spawned while a wanted request was polled, by it and not through the annotation, or by another thread at the same time: at most so many of its tasks are not followed.";
}

/// How many counters there are.
pub const LOSSES: usize = Loss::ALL.len();

#[cfg(test)]
mod tests {
    use super::Loss;

    /// Check that a loss's number is its place, because the kernel side indexes an array by it.
    #[test]
    fn numbers_are_places() {
        for (place, loss) in Loss::ALL.iter().enumerate() {
            assert_eq!(*loss as usize, place, "{}", loss.name());
        }
    }
}
