//! Frames of the executor, folded: what runs a future is many frames and never the reader's code.
//!
//! A run of neighbouring executor frames in a stack becomes one frame: `[tokio]` where one of them is Tokio's, else
//! `[std]`. Executor frames are the inside of Tokio's runtime and what stands between it and a future: thread start,
//! `catch_unwind`, `FnOnce::call_once`, the `poll` of `Pin`, `Box`, `&mut` and `PollFn`. What the user called of Tokio
//! (`tokio::sync`, `tokio::net`, `tokio::time`, `tokio::fs`, `tokio::spawn`) stays, and so do wrappers that the user chose,
//! as `tracing`'s `Instrumented`.
//!
//! Two steps, so that every exporter can have them: [`Folded`] renames frames where addresses are named, and [`fold`]
//! joins neighbours where stacks are put together.

mod plumbing;

pub use plumbing::is_plumbing;

use super::symbols::{Frame, MappedFile, Symbolize};

/// Whose an executor frame is. A run of both is the larger one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Executor {
    /// The standard library's, or the C library's thread start.
    Std,
    /// Tokio's.
    Tokio,
}

impl Executor {
    /// What a folded run is shown as.
    #[must_use]
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Std => "[std]",
            Self::Tokio => "[tokio]",
        }
    }

    /// The executor that a frame's text stands for; none for a frame that was not folded.
    #[must_use]
    pub fn of_shown(text: &str) -> Option<Self> {
        [Self::Std, Self::Tokio].into_iter().find(|executor| executor.shown() == text)
    }

    /// Whether a frame is an executor's, by its name. A frame of line tables has a name without a path, as
    /// `call_once`: of those the source file tells.
    #[must_use]
    pub fn of(frame: &Frame) -> Option<Self> {
        // The short name: in it v0 and legacy symbols read the same.
        let name = frame.function.as_str();
        match frame.file.as_deref() {
            Some(file) if has_no_path(name) => by_file(name, file),
            _ => by_name(name),
        }
    }
}

/// Beginnings of names (legacy and v0 spelling, rustc 1.95, Tokio 1.54).
const TOKIO: [&str; 6] = [
    "tokio::runtime::",
    "tokio::task::coop::",
    "tokio::task::local::",
    "tokio::loom::",
    "tokio::util::trace::",
    "tokio::macros::scoped_tls::",
];

const STD: [&str; 20] = [
    "std::rt::",
    "std::panicking::",
    "std::panic::catch_unwind",
    "std::sys::backtrace::__rust_begin_short_backtrace",
    "std::sys_common::backtrace::__rust_begin_short_backtrace",
    "std::sys::thread::unix::Thread::new",
    "std::sys::pal::unix::thread::Thread::new",
    "std::sys::unix::thread::Thread::new",
    "std::thread::Builder::spawn",
    "std::thread::builder::Builder::spawn",
    "std::thread::lifecycle::",
    "std::thread::spawnhook::",
    "std::thread::local::LocalKey",
    "core::ops::function::FnOnce::call_once",
    "core::ops::function::FnMut::call_mut",
    "core::ops::function::Fn::call",
    "core::ops::function::impls::",
    "core::panic::unwind_safe::",
    "core::pin::Pin<",
    "core::future::poll_fn::PollFn<",
];

/// C symbols: the begin of a process and of a thread (glibc), the compiler's `catch_unwind`.
const BARE: [&str; 9] = [
    "_start",
    "main",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "start_thread",
    "clone3",
    "__clone3",
    "__rust_try",
];

fn by_name(name: &str) -> Option<Executor> {
    if BARE.contains(&name) {
        return Some(Executor::Std);
    }
    // `<T as Trait>::method` is its type's where that says enough, and glue where it only passes a call on.
    let of_type = name.strip_prefix('<').unwrap_or(name);
    if TOKIO.iter().any(|begin| of_type.starts_with(begin)) {
        // What a user calls on a runtime or its handle is there as well as what runs inside.
        return Some(Executor::Tokio);
    }
    if STD.iter().any(|begin| of_type.starts_with(begin)) || passes_on(name) {
        return Some(Executor::Std);
    }
    None
}

/// `<alloc::boxed::Box<F> as core::future::future::Future>::poll` and the like.
fn passes_on(name: &str) -> bool {
    let passes = ["&mut ", "alloc::boxed::Box<", "core::panic::unwind_safe::AssertUnwindSafe<"];
    let Some((of_type, called)) = name.strip_prefix('<').and_then(|rest| rest.rsplit_once(">::")) else { return false };
    let calls = ["poll", "call_once", "call_mut", "call"]
        .iter()
        .any(|method| called == *method || called.starts_with(&format!("{method}::")));
    // v0's `call_once::{shim:vtable#0}` stands between a boxed closure and its caller, whoever wrote the closure.
    calls && (called.contains("::{shim") || passes.iter().any(|begin| of_type.starts_with(begin)))
}

/// By the source file of a function whose name has no path.
fn by_file(name: &str, file: &str) -> Option<Executor> {
    let tokio =
        file.rsplit_once("/tokio").and_then(|(_, rest)| rest.split_once("/src/")).filter(|(version, _)| is_version(version));
    if let Some((_, inside)) = tokio {
        let executor = ["runtime/", "task/coop/", "task/local.rs", "loom/"].iter().any(|begin| inside.starts_with(begin));
        return executor.then_some(Executor::Tokio);
    }
    let (_, library) = file.rsplit_once("/library/")?;
    let whole = ["std/src/rt.rs", "std/src/panicking.rs", "std/src/sys/backtrace.rs", "core/src/ops/function.rs"];
    let glue = [
        "core/src/panic/unwind_safe.rs",
        "core/src/future/poll_fn.rs",
        "core/src/future/future.rs",
        "core/src/pin.rs",
        "alloc/src/boxed.rs",
    ];
    let executor = whole.contains(&library)
        || (library.starts_with("std/src/sys/thread/") && bare(name) == "thread_start")
        || (library == "std/src/panic.rs" && name == "catch_unwind")
        || (library == "std/src/thread/local.rs" && matches!(name, "with" | "try_with"))
        || (library.starts_with("std/src/thread/") && name.starts_with("spawn"))
        || (glue.contains(&library) && matches!(bare(name), "poll" | "call_once" | "call_mut"));
    executor.then_some(Executor::Std)
}

/// `-1.54.0` of a registry's folder, or nothing.
fn is_version(text: &str) -> bool {
    text.is_empty() || text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Whether a name is a function's last segment alone; its generic arguments may have paths.
fn has_no_path(name: &str) -> bool {
    !name.starts_with('<') && !bare(name).contains("::")
}

/// A name without its generic arguments.
fn bare(name: &str) -> &str {
    name.split('<').next().unwrap_or(name)
}

/// Names addresses with executor frames under their folded name.
pub struct Folded<'s>(pub &'s mut dyn Symbolize);

impl Symbolize for Folded<'_> {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        let mut named = self.0.symbolize(addresses);
        for frames in &mut named {
            for frame in frames.iter_mut() {
                if let Some(executor) = Executor::of(frame) {
                    *frame = Frame::named(executor.shown());
                }
            }
            fold(frames, |frame| Executor::of_shown(&frame.function));
        }
        named
    }

    fn modules(&self) -> Vec<MappedFile> {
        self.0.modules()
    }
}

/// Leaves one frame of each run of executor frames: the first one of the largest executor in it.
pub fn fold<T>(stack: &mut Vec<T>, executor: impl Fn(&T) -> Option<Executor>) {
    stack.dedup_by(|next, kept| match (executor(next), executor(kept)) {
        (Some(of_next), Some(of_kept)) => {
            if of_next > of_kept {
                std::mem::swap(next, kept);
            }
            true
        }
        _ => false,
    });
}

#[cfg(test)]
mod tests;
