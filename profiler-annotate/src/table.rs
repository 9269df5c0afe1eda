//! What a profiler finds out about a process from outside, and what it asks of it, at one place: `profiler_annotate_table_v2`.
//!
//! A writable object in a section of its own, `.profiler_annotate`, so that it is found without symbols. `ABI.md` has the layout.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// `Table::magic`.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"PRFANNOT");
/// `Table::version`.
pub(crate) const VERSION: u32 = 2;
/// `Table::size`.
pub(crate) const SIZE: u32 = 2624;
/// Where [`Table::times_offset`] stands in it.
pub(crate) const TIMES_OFFSET: usize = 32;
/// How many rules a table holds.
pub(crate) const RULES: usize = 32;

const READY: u32 = 1;

/// How this process stands to OpenTelemetry's process context (OTEP 4719).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ProcessContext {
    /// This crate published one, with `request.id` at key index 0.
    Ours = 1,
    /// Another library had published one: it owns the key map.
    Foreign = 2,
    /// The kernel refused a step of the publication.
    Failed = 3,
    /// The feature `process-context` is off.
    LeftOut = 4,
}

/// Which requests are wanted: written by the daemon, read by every scope.
#[repr(C, align(64))]
pub(crate) struct Asked {
    pub(crate) generation: AtomicU32,
    pub(crate) modes: AtomicU32,
    pub(crate) rules: AtomicU32,
    pub(crate) children: AtomicU32,
    pub(crate) sample_below: AtomicU64,
    /// With the mode for it: scopes keep their own times since this moment (ns, `CLOCK_MONOTONIC`).
    pub(crate) times_since_ns: AtomicU64,
    _reserved: [AtomicU64; 4],
}

/// What scopes write while they are asked to.
#[repr(C, align(64))]
pub(crate) struct Answered {
    pub(crate) next_left: AtomicI64,
    pub(crate) tokens: [AtomicU64; 4],
    _reserved: [AtomicU64; 3],
}

/// One rule of the table. Single bytes, because the daemon may be writing them while a scope reads: a torn rule is judged anew
/// when the generation changes, which is after the last byte.
#[repr(C)]
pub(crate) struct Rule {
    pub(crate) kind: AtomicU8,
    pub(crate) len: AtomicU8,
    _padding: [AtomicU8; 6],
    pub(crate) bytes: [AtomicU8; 64],
}

/// See `ABI.md`. Defined in assembly, with weak linkage: two versions of this crate in one program share one.
#[repr(C, align(64))]
pub(crate) struct Table {
    magic: u64,
    version: u32,
    size: u32,
    slot_offset: AtomicI64,
    state: AtomicU32,
    request_id_key: AtomicU8,
    process_context: AtomicU8,
    _reserved: [u8; 2],
    times_offset: AtomicI64,
    _reserved_too: [u64; 3],
    pub(crate) asked: Asked,
    pub(crate) answered: Answered,
    /// Who wrote it: the daemon's own affair.
    _owner: [AtomicU64; 8],
    pub(crate) rules: [Rule; RULES],
    scopes: AtomicU64,
    _reserved_end: [u64; 7],
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(Table, slot_offset) == 16);
    assert!(offset_of!(Table, state) == 24);
    assert!(offset_of!(Table, request_id_key) == 28);
    assert!(offset_of!(Table, process_context) == 29);
    assert!(offset_of!(Table, times_offset) == TIMES_OFFSET);
    assert!(offset_of!(Table, asked) == 64);
    assert!(offset_of!(Table, asked.modes) == 68);
    assert!(offset_of!(Table, asked.rules) == 72);
    assert!(offset_of!(Table, asked.children) == 76);
    assert!(offset_of!(Table, asked.sample_below) == 80);
    assert!(offset_of!(Table, asked.times_since_ns) == 88);
    assert!(offset_of!(Table, answered) == 128);
    assert!(offset_of!(Table, answered.tokens) == 136);
    assert!(offset_of!(Table, _owner) == 192);
    assert!(offset_of!(Table, rules) == 256);
    assert!(size_of::<Rule>() == 72);
    assert!(offset_of!(Table, scopes) == 2560);
    assert!(size_of::<Table>() == SIZE as usize);
};

/// What the assembly says, for platforms without it.
impl Default for Table {
    fn default() -> Self {
        let rule = || Rule {
            kind: AtomicU8::default(),
            len: AtomicU8::default(),
            _padding: Default::default(),
            bytes: std::array::from_fn(|_| AtomicU8::default()),
        };
        Self {
            magic: MAGIC,
            version: VERSION,
            size: SIZE,
            slot_offset: AtomicI64::default(),
            state: AtomicU32::default(),
            request_id_key: AtomicU8::default(),
            process_context: AtomicU8::default(),
            _reserved: Default::default(),
            times_offset: AtomicI64::default(),
            _reserved_too: Default::default(),
            asked: Asked {
                generation: AtomicU32::default(),
                modes: AtomicU32::default(),
                rules: AtomicU32::default(),
                children: AtomicU32::default(),
                sample_below: AtomicU64::default(),
                times_since_ns: AtomicU64::default(),
                _reserved: Default::default(),
            },
            answered: Answered { next_left: AtomicI64::default(), tokens: Default::default(), _reserved: Default::default() },
            _owner: Default::default(),
            rules: std::array::from_fn(|_| rule()),
            scopes: AtomicU64::default(),
            _reserved_end: Default::default(),
        }
    }
}

impl Table {
    /// The key index for new records, once [`Table::publish`] has been called.
    #[inline]
    pub(crate) fn request_id_key(&self) -> Option<u8> {
        (self.state.load(Ordering::Acquire) == READY).then(|| self.request_id_key.load(Ordering::Relaxed))
    }

    /// Fills in what is known at the first scope only.
    pub(crate) fn publish(&self, slot_offset: i64, times_offset: i64, request_id_key: u8, context: ProcessContext) {
        self.slot_offset.store(slot_offset, Ordering::Relaxed);
        self.times_offset.store(times_offset, Ordering::Relaxed);
        self.request_id_key.store(request_id_key, Ordering::Relaxed);
        self.process_context.store(context as u8, Ordering::Relaxed);
        self.state.store(READY, Ordering::Release);
    }

    /// The number of a scope, from 1 on, never given twice in a process.
    pub(crate) fn next_scope(&self) -> u64 {
        self.scopes.fetch_add(1, Ordering::Relaxed) + 1
    }
}
