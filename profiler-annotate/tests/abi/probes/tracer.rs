//! A tracer in the process itself: breakpoints on its own sites, and what they saw.

use std::cell::RefCell;
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock};

use profiler_annotate::RequestId;

use crate::{elf, slot};

const INT3: u8 = 0xcc;
const NOP: u8 = 0x90;

/// What a breakpoint saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Enter { record: u64, seq: u64, future: u64, poll: u64, frame: u64 },
    Exit { record: u64, seq: u64, done: u64 },
    Task { seq: u64, handle: u64 },
    Wake { seq: u64 },
    Spawn { record: u64, seq: u64, parent: u64, kind: u64 },
    End { record: u64, seq: u64 },
    Times { record: u64, seq: u64, block: [u64; 16] },
}
use Event::{End, Enter, Exit, Spawn, Task, Times, Wake};

impl Event {
    pub(super) fn seq(self) -> u64 {
        match self {
            Enter { seq, .. }
            | Exit { seq, .. }
            | End { seq, .. }
            | Wake { seq }
            | Spawn { seq, .. }
            | Task { seq, .. }
            | Times { seq, .. } => seq,
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Enter { .. } => "enter",
            Exit { .. } => "exit",
            End { .. } => "end",
            Task { .. } => "task",
            Times { .. } => "times",
            Wake { .. } => "wake",
            Spawn { .. } => "spawn",
        }
    }
}

/// Addresses of the sites in this process, in the order of [`elf::probes`]: end, enter, exit, spawn, task, times, wake.
static SITES: OnceLock<[u64; 7]> = OnceLock::new();

thread_local! {
    /// Filled by the signal handler: room is made before, since a handler must not allocate.
    pub(super) static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
    pub(super) static IDS: RefCell<Vec<RequestId>> = const { RefCell::new(Vec::new()) };
}

extern "C" fn on_trap(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a ucontext to a handler with SA_SIGINFO.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let register = |name: libc::c_int| registers[usize::try_from(name).unwrap()].cast_unsigned();
    let (record, seq) = (register(libc::REG_RDI), register(libc::REG_RSI));
    let [end, enter, exit, spawn, task, times, _] = SITES.get().copied().unwrap();
    // An int3 is reported after it has been executed.
    let site = register(libc::REG_RIP) - 1;
    let event = if site == enter {
        // SAFETY: a probe's first argument points to a record, whose 94 bytes have no padding and stay while it is polled.
        let bytes = unsafe { std::slice::from_raw_parts(record as *const u8, 94) };
        let id = &bytes[30..30 + usize::from(bytes[29])];
        IDS.with_borrow_mut(|ids| ids.push(RequestId::try_from(id).unwrap()));
        Enter { record, seq, future: register(libc::REG_RDX), poll: register(libc::REG_RCX), frame: register(libc::REG_R8) }
    } else if site == end {
        End { record, seq }
    } else if site == exit {
        Exit { record, seq, done: register(libc::REG_RDX) }
    } else if site == spawn {
        Spawn { record, seq, parent: register(libc::REG_RDX), kind: register(libc::REG_RCX) }
    } else if site == task {
        Task { seq: record, handle: seq }
    } else if site == times {
        // SAFETY: the probe's third argument points to a block of that size, aligned, which stays meanwhile.
        Times { record, seq, block: unsafe { ptr::read(register(libc::REG_RDX) as *const [u64; 16]) } }
    } else {
        // Its only argument.
        Wake { seq: record }
    };
    EVENTS.with_borrow_mut(|events| events.push(event));
}

/// Writes into this process, read-only pages included.
pub(super) fn poke(address: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let memory = std::fs::File::options().write(true).open("/proc/self/mem").unwrap();
    memory.write_all_at(bytes, address).unwrap();
}

/// Breakpoints on all sites, semaphores up; undone when dropped. One at a time.
pub(super) struct Tracer {
    _one: MutexGuard<'static, ()>,
    semaphores: Vec<u64>,
}

impl Tracer {
    pub(super) fn attach() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let probes = elf::probes(&elf::this_program());
        let bias = elf::load_bias();
        SITES.get_or_init(|| {
            // SAFETY: all zeros is a valid sigaction; the handler is async-signal-safe for traps that these tests cause.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = on_trap as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            // SAFETY: a valid action.
            assert_eq!(unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, ptr::null_mut()) }, 0);
            [0, 1, 2, 3, 4, 5, 6].map(|probe: usize| bias + probes[probe].site)
        });
        EVENTS.with_borrow_mut(|events| events.reserve(1000));
        IDS.with_borrow_mut(|ids| ids.reserve(1000));
        for site in SITES.get().unwrap() {
            poke(*site, &[INT3]);
        }
        let semaphores: Vec<_> = probes.iter().map(|probe| bias + probe.semaphore).collect();
        for semaphore in &semaphores {
            poke(*semaphore, &1_u16.to_le_bytes());
        }
        Self { _one: one, semaphores }
    }

    /// The events of this thread since the last call.
    pub(super) fn events(&self) -> Vec<Event> {
        assert_eq!(self.semaphores.len(), 7);
        EVENTS.with_borrow_mut(|events| {
            let seen = events.clone();
            // Keeps its room for the handler.
            events.clear();
            seen
        })
    }

    /// From now on only those are listened to whom the table wants.
    pub(super) fn only_wanted(&self, rules: &[(u8, &[u8])], children: bool) {
        self.lower();
        let table = ptr::from_ref(slot::table()) as u64;
        for (place, (kind, bytes)) in (0_u64..).zip(rules) {
            let at = table + 256 + place * 72;
            poke(at, &[*kind, u8::try_from(bytes.len()).unwrap()]);
            poke(at + 8, bytes);
        }
        poke(table + 68, &u32::from(!rules.is_empty()).to_ne_bytes());
        poke(table + 72, &u32::try_from(rules.len()).unwrap().to_ne_bytes());
        poke(table + 76, &u32::from(children).to_ne_bytes());
        let generation = u32::from_ne_bytes(slot::table()[64..68].try_into().unwrap());
        poke(table + 64, &(generation + 1).to_ne_bytes());
    }

    pub(super) fn lower(&self) {
        for semaphore in &self.semaphores {
            poke(*semaphore, &0_u16.to_le_bytes());
        }
    }

    pub(super) fn kinds(&self) -> Vec<&'static str> {
        self.events().into_iter().map(Event::kind).collect()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.only_wanted(&[], false);
        for site in SITES.get().unwrap() {
            poke(*site, &[NOP]);
        }
    }
}
