//! Takes registers and stacks of a running thread: in a signal handler on that thread, into memory that was there before.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use profiler_common::unwind::{Cursor, Memory};

use crate::chains::Chain;

/// Room for the words of all samples.
const WORDS: usize = 8 << 20;
const SAMPLES: usize = 6000;

/// What a function may use below its stack pointer (psABI, section 3.2.2), so that a signal leaves it alone. Behind `pop rbp` a row still
/// finds the caller's rbp there.
const RED_ZONE: u64 = 128;

/// One sample: the registers, where its stack's copy is, and the calls that the thread itself knew of.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) cursor: Cursor,
    /// Its words in the arena.
    from: usize,
    len: usize,
    pub(crate) chain: Chain,
}

/// The copied stack of a sample.
pub(crate) struct Stack<'a> {
    /// Its lowest address.
    low: u64,
    words: &'a [u64],
}

impl Memory for Stack<'_> {
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.low)?).ok()?;
        (at % 8 == 0).then(|| self.words.get(at / 8).copied())?
    }
}

struct Arena {
    words: UnsafeCell<Vec<u64>>,
    samples: UnsafeCell<Vec<Sample>>,
    used: AtomicUsize,
    taken: AtomicUsize,
    /// Where the sampled thread's stack ends.
    top: AtomicU64,
    /// No handler writes while this is false.
    open: AtomicBool,
}

// SAFETY: the cells are written by one handler at a time, on one thread, while `open`; they are made before and read after.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena {
    words: UnsafeCell::new(Vec::new()),
    samples: UnsafeCell::new(Vec::new()),
    used: AtomicUsize::new(0),
    taken: AtomicUsize::new(0),
    top: AtomicU64::new(0),
    open: AtomicBool::new(false),
};

/// Runs `work` on a thread of its own and samples it until it ends. Once in a process.
pub(crate) fn sample(work: impl FnOnce(&dyn Fn() -> bool) + Send + 'static) {
    // SAFETY: nothing else looks at the cells before the arena opens.
    unsafe { *ARENA.words.get() = vec![0; WORDS] };
    let none = Sample { cursor: Cursor::default(), from: 0, len: 0, chain: Chain::NONE };
    // SAFETY: as above.
    unsafe { *ARENA.samples.get() = vec![none; SAMPLES] };
    handle(libc::SIGUSR1, on_sample);
    let (tell, told) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || {
        ARENA.top.store(stack_top(), Ordering::Relaxed);
        // SAFETY: it has no conditions.
        tell.send(unsafe { libc::pthread_self() }).unwrap();
        work(&|| ARENA.taken.load(Ordering::Relaxed) >= SAMPLES);
        ARENA.open.store(false, Ordering::SeqCst);
    });
    let thread = told.recv().unwrap();
    ARENA.open.store(true, Ordering::SeqCst);
    while ARENA.open.load(Ordering::SeqCst) {
        // SAFETY: the thread is not joined before the loop ends, so its id stays its own.
        unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
        std::thread::sleep(std::time::Duration::from_micros(150));
    }
    worker.join().unwrap();
}

/// What was taken, each with its stack.
pub(crate) fn taken() -> impl Iterator<Item = (Sample, Stack<'static>)> {
    assert!(!ARENA.open.load(Ordering::SeqCst));
    // SAFETY: the arena is closed, so nobody writes any more.
    let words = unsafe { &*ARENA.words.get() };
    // SAFETY: as above.
    let samples = unsafe { &*ARENA.samples.get() };
    samples[..ARENA.taken.load(Ordering::Relaxed).min(SAMPLES)]
        .iter()
        .map(|sample| (*sample, Stack { low: sample.cursor.sp - RED_ZONE, words: &words[sample.from..sample.from + sample.len] }))
}

/// Installs a handler. It runs on the stack that it interrupts.
pub(crate) fn handle(signal: i32, handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void)) {
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: both pointers are valid or null, and the handler has the type that SA_SIGINFO asks for.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
}

/// Where this thread's stack ends.
fn stack_top() -> u64 {
    let (mut base, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: all zeros is room for the attributes, which the call fills.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    // SAFETY: it has no conditions.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: the thread is this one, the attributes are room for the answer.
    assert_eq!(unsafe { libc::pthread_getattr_np(this, &raw mut attributes) }, 0);
    // SAFETY: the attributes were filled above.
    assert_eq!(unsafe { libc::pthread_attr_getstack(&raw const attributes, &raw mut base, &raw mut size) }, 0);
    // SAFETY: they are not used any more.
    unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
    base as u64 + size as u64
}

/// Copies the registers that it interrupted and the stack from there on. Allocates nothing, calls nothing that is not async-signal-safe.
extern "C" fn on_sample(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if !ARENA.open.load(Ordering::SeqCst) {
        return;
    }
    // SAFETY: a handler with SA_SIGINFO gets a `ucontext_t` here.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let register = |number: i32| registers[usize::try_from(number).unwrap_or(0)].cast_unsigned();
    let cursor = Cursor { pc: register(libc::REG_RIP), sp: register(libc::REG_RSP), bp: register(libc::REG_RBP), is_return: 0 };
    let (from, taken) = (ARENA.used.load(Ordering::Relaxed), ARENA.taken.load(Ordering::Relaxed));
    let low = cursor.sp - RED_ZONE;
    let len = usize::try_from((ARENA.top.load(Ordering::Relaxed) - low) / 8).unwrap_or(0);
    if taken >= SAMPLES || from + len > WORDS {
        return;
    }
    // SAFETY: the arena is open, so this handler is the only one that touches the cells; it does not interrupt itself.
    let words = unsafe { &mut *ARENA.words.get() };
    for (address, word) in (low..).step_by(8).zip(&mut words[from..from + len]) {
        // SAFETY: between the red zone and the top of its stack everything is mapped: the kernel has just written below it. Every
        // instruction of compiled code leaves the stack pointer aligned to words.
        *word = unsafe { std::ptr::read_volatile(address as *const u64) };
    }
    // SAFETY: as for the words.
    let samples = unsafe { &mut *ARENA.samples.get() };
    samples[taken] = Sample { cursor, from, len, chain: Chain::now() };
    ARENA.used.store(from + len, Ordering::Relaxed);
    ARENA.taken.store(taken + 1, Ordering::Relaxed);
}
