//! What the fixture prints: one [`Event`] a line, as JSON.

use serde::{Deserialize, Serialize};

/// One line of output.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Set up; waits for commands.
    Ready {
        /// Process id.
        pid: u32,
    },
    /// A phase is over.
    Phase(Phase),
    /// A round is over.
    Done,
}

/// A time in which the call chain of a thread is known.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Phase {
    /// `NEST-BOTTOM`: how it went down, and what it did there.
    pub name: String,
    /// The request whose scope it ran in. `None`: a plain task.
    pub request: Option<String>,
    /// The thread.
    pub tid: u32,
    /// From when the whole chain stood on the stack, ns of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// Up to when it did, ns of `CLOCK_MONOTONIC`.
    pub end_ns: u64,
    /// How much of it the thread had a CPU (ns), or a little more.
    pub cpu_ns: u64,
    /// What it did meanwhile.
    pub kind: Kind,
    /// The functions on the stack, outermost first. Other frames may stand outside of them and below the last.
    pub chain: Vec<Function>,
}

/// What a thread did at the bottom of its chain.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It wanted a CPU all the time.
    Spin,
    /// It slept in one system call.
    Blocked {
        /// The call's number on this architecture.
        syscall: i64,
        /// How long it slept, by the wall clock without CPU time and run delay (ns).
        slept_ns: u64,
    },
}

/// One function of a chain.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name, without the path.
    pub name: String,
    /// Where it begins in this process.
    pub address: u64,
    /// Whether frames of others (libc, std, a signal's trampoline) stand between it and the function before it in the chain. If not, that
    /// one called it.
    pub through_others: bool,
}
