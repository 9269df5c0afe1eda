//! Work that knows its own calls: each function notes an address of its own code when it begins and takes it back before it ends.

use std::arch::asm;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, compiler_fence};

use crate::sampler::handle;

/// More calls than any work here nests.
const DEPTH: usize = 64;

/// The calls of one moment, outermost first: an address inside each function, and the stack pointer there.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    calls: [(u64, u64); DEPTH],
    len: usize,
    /// What was being done.
    pub(crate) work: Work,
    /// Where the kernel left the registers that the last SIGUSR2 interrupted: the address of a `ucontext_t`.
    pub(crate) context: u64,
}

/// What the thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Work {
    Nothing,
    Recursion,
    Closures,
    Iterators,
    Qsort,
    Signal,
    Realigned,
    Panic,
    Clock,
    Strings,
}

const WORK: [Work; 10] = [
    Work::Nothing,
    Work::Recursion,
    Work::Closures,
    Work::Iterators,
    Work::Qsort,
    Work::Signal,
    Work::Realigned,
    Work::Panic,
    Work::Clock,
    Work::Strings,
];

static CALLS: [(AtomicU64, AtomicU64); DEPTH] = [const { (AtomicU64::new(0), AtomicU64::new(0)) }; DEPTH];
static LEN: AtomicUsize = AtomicUsize::new(0);
static NOW: AtomicUsize = AtomicUsize::new(0);
static CONTEXT: AtomicU64 = AtomicU64::new(0);

impl Chain {
    pub(crate) const NONE: Self = Self { calls: [(0, 0); DEPTH], len: 0, work: Work::Nothing, context: 0 };

    /// What is noted, for the handler that interrupts it.
    pub(crate) fn now() -> Self {
        let mut chain = Self { len: LEN.load(Ordering::Relaxed).min(DEPTH), ..Self::NONE };
        for (call, (pc, sp)) in chain.calls[..chain.len].iter_mut().zip(&CALLS) {
            *call = (pc.load(Ordering::Relaxed), sp.load(Ordering::Relaxed));
        }
        chain.work = WORK[NOW.load(Ordering::Relaxed)];
        chain.context = CONTEXT.load(Ordering::Relaxed);
        chain
    }

    /// The calls, innermost first.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (u64, u64)> {
        self.calls[..self.len].iter().rev().copied()
    }
}

/// A noted call; dropping it takes it back.
struct Noted;

impl Drop for Noted {
    fn drop(&mut self) {
        LEN.fetch_sub(1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }
}

/// Notes the call of the function that this is compiled into.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it asks for the address of the code around it")]
fn here() -> Noted {
    let (pc, sp): (u64, u64);
    // SAFETY: it reads two registers and writes nothing.
    unsafe { asm!("lea {}, [rip]", "mov {}, rsp", out(reg) pc, out(reg) sp, options(nomem, nostack, preserves_flags)) };
    note(pc, sp);
    Noted
}

/// The order of the writes matters to the handler: first the call, then that it counts.
#[inline(never)]
fn note(pc: u64, sp: u64) {
    let at = LEN.load(Ordering::Relaxed);
    CALLS[at].0.store(pc, Ordering::Relaxed);
    CALLS[at].1.store(sp, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    LEN.store(at + 1, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
}

/// All the work, again and again until `enough`.
pub(crate) fn run(enough: &dyn Fn() -> bool) {
    handle(libc::SIGUSR2, on_signal);
    // Whatever happens, a slow machine ends too.
    let begun = std::time::Instant::now();
    while !enough() && begun.elapsed().as_secs() < 60 {
        for (number, work) in WORK.iter().enumerate().skip(1) {
            NOW.store(number, Ordering::Relaxed);
            let begun = std::time::Instant::now();
            // While libgcc writes a new frame over its own, no table describes it: seldom, but it should be seldom here too.
            let long = if *work == Work::Panic { 300 } else { 1500 };
            while begun.elapsed().as_micros() < long {
                once(*work);
            }
        }
    }
}

#[inline(never)]
fn once(work: Work) {
    let _here = here();
    match work {
        Work::Nothing => {}
        Work::Recursion => done(recursion(black_box(40))),
        Work::Closures => done(closures(black_box(7))),
        Work::Iterators => done(iterators(black_box(20))),
        Work::Qsort => qsort(),
        // SAFETY: the handler is installed.
        Work::Signal => done(unsafe { libc::raise(libc::SIGUSR2) }),
        Work::Realigned => done(realigned(black_box(3))),
        Work::Panic => panic_and_catch(),
        Work::Clock => (0..50).for_each(|_| done(std::time::Instant::now())),
        Work::Strings => strings(),
    }
}

/// A result that nobody needs, which the compiler may not know.
fn done<T>(result: T) {
    black_box(result);
}

#[inline(never)]
fn recursion(depth: u64) -> u64 {
    let _here = here();
    let kept = black_box(depth * 3);
    if depth == 0 { leaf(kept) } else { recursion(depth - 1) ^ kept }
}

/// Work without a call in it.
#[inline(never)]
fn leaf(seed: u64) -> u64 {
    let mut value = seed | 1;
    for _ in 0..200 {
        value = black_box(value.wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(7));
    }
    value
}

#[inline(never)]
fn closures(seed: u64) -> u64 {
    let _here = here();
    let boxed: Box<dyn Fn(u64) -> u64> = Box::new(move |value| {
        let _here = here();
        leaf(value ^ seed)
    });
    let twice = |value| {
        let _here = here();
        boxed(value) ^ boxed(value + 1)
    };
    called(&twice, seed)
}

#[inline(never)]
fn called(what: &dyn Fn(u64) -> u64, with: u64) -> u64 {
    let _here = here();
    what(with) ^ black_box(1)
}

#[inline(never)]
fn iterators(count: u64) -> u64 {
    let _here = here();
    let steps = (0..count).map(|number| {
        let _here = here();
        leaf(number)
    });
    steps.filter(|value| value % 3 != 0).fold(0, |sum, value| {
        let _here = here();
        leaf(sum ^ value)
    })
}

/// A comparison that libc calls.
extern "C" fn compare(one: *const libc::c_void, other: *const libc::c_void) -> i32 {
    let _here = here();
    // SAFETY: `qsort` gives two elements of the array.
    let one = unsafe { *one.cast::<u64>() };
    // SAFETY: as above.
    let other = unsafe { *other.cast::<u64>() };
    leaf(1);
    one.cmp(&other) as i32
}

#[inline(never)]
fn qsort() {
    let _here = here();
    let mut numbers: Vec<u64> = (0..40).map(|number| leaf(number) % 1000).collect();
    // SAFETY: the array has so many elements of that size, and the comparison reads them as what they are.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), 8, Some(compare)) };
    black_box(numbers);
}

/// Runs on top of the kernel's signal frame.
extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    CONTEXT.store(context as u64, Ordering::Relaxed);
    let _here = here();
    black_box(recursion(black_box(3)));
}

/// More alignment than the stack has: the frame can be found by rbp only.
#[repr(align(64))]
struct Wide([u64; 16]);

#[inline(never)]
fn realigned(seed: u64) -> u64 {
    let _here = here();
    let mut wide = Wide([seed; 16]);
    black_box(&mut wide);
    // A frame of more than a page is probed page by page.
    let mut large = [seed; 1024];
    black_box(&mut large);
    wide.0.iter_mut().zip(&large).for_each(|(one, other)| *one ^= leaf(*other));
    black_box(wide).0[3]
}

/// The unwinder of the language at work.
#[inline(never)]
fn panic_and_catch() {
    let _here = here();
    let result = std::panic::catch_unwind(|| thrown(black_box(6)));
    assert!(result.is_err());
}

#[inline(never)]
fn thrown(depth: u64) -> u64 {
    let _here = here();
    if depth == 0 { std::panic::resume_unwind(Box::new(())) } else { thrown(depth - 1) ^ black_box(depth) }
}

/// libc's hand-written code.
#[inline(never)]
fn strings() {
    let _here = here();
    let from = vec![7_u8; 100_000];
    let mut to = vec![0_u8; 100_000];
    to.copy_from_slice(black_box(&from));
    assert_eq!(black_box(&from), black_box(&to));
    black_box(format!("{} {:?}", from.len(), f64::from(to[3])));
}
