//! Which of the kernel side's programs are put to the sites: those that account, or empty ones, by which a benchmark tells what the
//! accounting costs from what any program at these sites would.

/// Which programs are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handlers {
    /// The product's.
    #[default]
    Accounting,
    /// Programs that do nothing, on exactly the same sites, scheduler events and clocks, by the same kind of link. Nothing is measured.
    Empty,
}

/// A program of the scheduler, and its tracepoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheduler {
    /// The program.
    pub(super) program: &'static str,
    /// Where it hangs.
    pub(super) tracepoint: &'static str,
}

const fn at(tracepoint: &'static str, program: &'static str) -> Scheduler {
    Scheduler { program, tracepoint }
}

impl Handlers {
    /// The uprobe program in the place of `accounting`.
    pub(super) const fn uprobe(self, accounting: &'static str) -> &'static str {
        match self {
            Self::Accounting => accounting,
            Self::Empty => "empty",
        }
    }

    /// The scheduler's programs.
    pub(super) const fn scheduler(self) -> [Scheduler; 3] {
        const SWITCH: &str = "sched_switch";
        const WAKEUP: &str = "sched_wakeup";
        const EXIT: &str = "sched_process_exit";
        match self {
            Self::Accounting => [at(SWITCH, SWITCH), at(WAKEUP, WAKEUP), at(EXIT, EXIT)],
            Self::Empty => [at(SWITCH, "empty_switch"), at(WAKEUP, "empty_wakeup"), at(EXIT, "empty_exit")],
        }
    }

    /// The sampling clock's program.
    pub(super) const fn tick(self) -> &'static str {
        match self {
            Self::Accounting => "sample_tick",
            Self::Empty => "empty_tick",
        }
    }
}
