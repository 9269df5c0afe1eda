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
    /// 1: samples are taken in every poll, 0: only inside wanted requests and their children.
    pub sample_all: u32,
}

impl Gate {
    /// A gate that lets nothing through.
    pub const SHUT: Self = Self { open_ns: u64::MAX, close_ns: 0, all_requests: 0, sample_all: 0 };

    /// Whether an event at `now_ns` counts.
    #[inline(always)]
    #[must_use]
    pub const fn admits(&self, now_ns: u64) -> bool {
        self.open_ns <= now_ns && now_ns < self.close_ns
    }
}
