//! What happens at the bottom of a nest: computing, sleeping, and places that are hard to unwind from.

pub mod asleep;
pub mod awake;
pub mod foreign;
pub mod plugin;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use fixture_service::clock::monotonic;

use crate::truth::Function;

/// The function at the bottom.
pub type Bottom = fn() -> Span;

/// When the whole chain stood on the stack, ns of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// From.
    pub start_ns: u64,
    /// To.
    pub end_ns: u64,
}

/// One thing to do at the bottom.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// Its name.
    pub name: &'static str,
    /// What does it.
    pub bottom: Bottom,
    /// The functions that stand on the stack while it is done, the bottom first.
    pub functions: fn() -> Vec<Function>,
    /// The system call in which it sleeps.
    pub syscall: Option<i64>,
}

/// A function of a chain: `function!(name)`, or `function!(name, through others)`.
macro_rules! function {
    ($name:ident) => {
        $crate::truth::Function { name: stringify!($name).to_owned(), address: $name as *const () as u64, through_others: false }
    };
    ($name:ident, through others) => {
        $crate::truth::Function { through_others: true, ..function!($name) }
    };
}
use function;

pub use asleep::{FUTEX, PIPE, SLEEP};
pub use awake::{BOXED, COPY, SPIN, VDSO};
pub use foreign::{SEARCH, SIGNAL, SORT};
pub use plugin::PLUGIN;

/// Every one of them.
pub const ALL: [Ground; 11] = [SPIN, VDSO, COPY, BOXED, SORT, SEARCH, SIGNAL, PLUGIN, SLEEP, PIPE, FUTEX];

static LENGTH_NS: AtomicU64 = AtomicU64::new(0);

/// How long each takes (ns).
fn length_ns() -> u64 {
    LENGTH_NS.load(Ordering::Relaxed)
}

/// Sets the length of a phase, and installs what the bottoms need.
pub fn prepare(length_ms: u32) -> io::Result<()> {
    LENGTH_NS.store(u64::from(length_ms) * 1_000_000, Ordering::Relaxed);
    foreign::install_handler()
}

/// Calls `work` until a phase's length is over.
#[expect(clippy::inline_always, reason = "the bottom itself is to be what runs")]
#[inline(always)]
fn for_its_length(mut work: impl FnMut()) -> Span {
    let (start_ns, length_ns) = (monotonic(), length_ns());
    let mut end_ns = start_ns;
    while end_ns - start_ns < length_ns {
        work();
        end_ns = monotonic();
    }
    Span { start_ns, end_ns }
}
