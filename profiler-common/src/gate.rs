//! The window in which events count. The daemon opens it once everything is attached and closes it before it reads the final
//! rows, so that every sum lies inside the window by construction.

/// One row of the `GATE` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Gate {
    /// Events from this time on count (ns).
    pub open_ns: u64,
    /// Events before this time count (ns).
    pub close_ns: u64,
    /// 1: every request is wanted, 0: those in `WANTED`.
    pub all_requests: u32,
    /// 1: stacks are taken in every poll, on the CPU and off it; 0: only inside wanted requests and their children.
    pub sample_all: u32,
    /// Polls that took at least this long (ns) leave a record, whoever's they are. Those of wanted requests and their children always do.
    pub poll_record_ns: u64,
    /// 1: every effective wake leaves a record; 0: only those of tasks that belong to a wanted request.
    pub wake_all: u32,
    /// Which of the two region tables is current.
    pub regions: u32,
    /// Whose awaits are walked at the end of a poll: [`AWAITS_OFF`], [`AWAITS_WANTED`] or [`AWAITS_ALL`].
    pub awaits: u32,
    /// 1: layouts say where a future waits; 0: the stacks in which wakers were stored do.
    pub await_layouts: u32,
    /// CPU time that a sample stands for now (ns): what lies between two ticks of the sampling clock.
    pub sample_period_ns: u64,
    /// 1: no task is seen, only scopes, which have wakers of their own; 0: tasks are seen too.
    pub requests_only: u32,
    /// 1: scopes are chosen by the annotation, so whatever scope reaches a probe is wanted; 0: they are chosen here.
    pub chosen_there: u32,
    /// Where a thread's word about the scope that keeps its times stands, from the thread pointer (bytes, wrapping). 0: no scope keeps any,
    /// as far as is known.
    pub times_offset: u64,
    /// What the daemon is woken for at once: [`TELL_BEGIN`], [`TELL_SAMPLE`], [`TELL_END`]. It finds all else at its next look.
    pub tell: u32,
    /// 1: no probe is in the target: tasks and requests are read from the thread when it is sampled or leaves its CPU.
    pub sample_only: u32,
    /// Where a thread keeps the id of the task that it polls, from the thread pointer (bytes, wrapping). 0: not known.
    pub task_id_offset: u64,
    /// The same of the word before it that is 1 while there is one (Tokio before 1.40). 0: the id is 0 where there is none.
    pub task_tag_offset: u64,
    /// Where the counter stands from which Tokio gives out task ids. 0: not known, or nobody asks.
    pub task_ids: u64,
}

/// [`Gate::tell`]: a wanted request begins.
pub const TELL_BEGIN: u32 = 1;
/// [`Gate::tell`]: the sampling clock has met a wanted request.
pub const TELL_SAMPLE: u32 = 2;
/// [`Gate::tell`]: a request ends.
pub const TELL_END: u32 = 4;

/// [`Gate::awaits`]: nobody's.
pub const AWAITS_OFF: u32 = 0;
/// [`Gate::awaits`]: those of wanted requests and of the tasks they spawned.
pub const AWAITS_WANTED: u32 = 1;
/// [`Gate::awaits`]: every task's.
pub const AWAITS_ALL: u32 = 2;

impl Gate {
    /// A gate that lets nothing through.
    pub const SHUT: Self = Self {
        open_ns: u64::MAX,
        close_ns: 0,
        all_requests: 0,
        sample_all: 0,
        poll_record_ns: u64::MAX,
        wake_all: 0,
        regions: 0,
        awaits: AWAITS_OFF,
        await_layouts: 0,
        sample_period_ns: 0,
        requests_only: 0,
        chosen_there: 0,
        times_offset: 0,
        tell: 0,
        sample_only: 0,
        task_id_offset: 0,
        task_tag_offset: 0,
        task_ids: 0,
    };

    /// Whether the window has been opened and not been closed: whoever closes it writes when.
    #[inline(always)]
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.close_ns == u64::MAX
    }

    /// Whether an event at `now_ns` counts.
    #[inline(always)]
    #[must_use]
    pub const fn admits(&self, now_ns: u64) -> bool {
        self.open_ns <= now_ns && now_ns < self.close_ns
    }
}
