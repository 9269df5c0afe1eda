//! What an inspection yields: plain data, in the addresses of the ELF file itself.
//!
//! `vaddr` is a virtual address as the file states it (add the load bias for a running process of a
//! PIE); `file_offset` is what a uprobe wants.

use serde::Serialize;

use super::note::Note;
use super::proof::Proof;
use super::usdt::UsdtProbe;

/// All that is known of a target from its ELF file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the file, and none follows from another")]
pub struct Inspection {
    /// The GNU build id in lower-case hex, where the file has one.
    pub build_id: Option<String>,
    /// Loaded at a random address: addresses here need the load bias added.
    pub pie: bool,
    /// A library and no program: its thread-locals have no fixed place.
    pub shared_object: bool,
    /// The Tokio linked in, from the source paths that panics carry in `.rodata`.
    pub tokio: Option<TokioVersion>,
    /// `.symtab` is there.
    pub has_symbols: bool,
    /// `.debug_info` is there.
    pub has_debug_info: bool,
    /// The `PT_LOAD` segments.
    pub segments: Vec<Segment>,
    /// Offsets inside a task's header.
    pub header: HeaderLayout,
    /// One per task vtable, ordered by the vtable's address.
    pub task_types: Vec<TaskType>,
    /// Where probes can sit, ordered by role and address.
    pub sites: Vec<Site>,
    /// The annotation's own probes, empty where the program does not link it.
    pub usdt: Vec<UsdtProbe>,
    /// Address of the annotation's table (`profiler-annotate/src/table.rs`), where the program links it.
    pub annotation_table: Option<u64>,
    /// Address of the counter from which Tokio takes the ids of new tasks, where a symbol names it.
    pub next_task_id: Option<u64>,
    /// What was skipped or is ambiguous, in sentences for the user.
    pub notes: Vec<Note>,
}

impl Inspection {
    /// Whether the program links an annotation of our version: its probes say what we want to know. Versions before had no `scope_wake`.
    #[must_use]
    pub fn is_annotated(&self) -> bool {
        self.annotation_table.is_some() && self.usdt.iter().any(|probe| probe.name == "scope_wake")
    }

    /// The file offset of a virtual address; `None` outside all file-backed segments.
    #[must_use]
    pub fn file_offset(&self, vaddr: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| segment.file_offset_of(vaddr))
    }

    /// The sites that have this role.
    pub fn sites_with(&self, role: Role) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(move |site| site.role == role)
    }
}

/// A release of Tokio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TokioVersion {
    /// Major version; 1.
    pub major: u16,
    /// Minor version.
    pub minor: u16,
    /// Patch version.
    pub patch: u16,
}

impl std::fmt::Display for TokioVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A `PT_LOAD` segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// First virtual address.
    pub vaddr: u64,
    /// Where its bytes begin in the file.
    pub file_offset: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub mem_size: u64,
    /// Mapped executable.
    pub executable: bool,
}

impl Segment {
    /// The file offset of `vaddr` where this segment holds it in the file.
    #[must_use]
    pub fn file_offset_of(&self, vaddr: u64) -> Option<u64> {
        let into = vaddr.checked_sub(self.vaddr)?;
        if into < self.file_size { self.file_offset.checked_add(into) } else { None }
    }
}

/// Byte offsets in `tokio::runtime::task::core::Header`, which is `repr(C)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HeaderLayout {
    /// The state word; 0 in every version.
    pub state: u32,
    /// The pointer to the task's vtable.
    pub vtable: u32,
}

/// Which scheduler runs the tasks of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// `tokio::spawn` on a multi-thread runtime.
    MultiThread,
    /// `tokio::spawn` on a current-thread runtime.
    CurrentThread,
    /// `spawn_local` on a `LocalSet`.
    Local,
    /// `spawn_blocking`, and the multi-thread runtime's own workers.
    Blocking,
    /// The scheduler's type could not be told (stripped).
    Unknown,
}

/// Where a type's name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NameSource {
    /// The template parameters of `raw::poll` in DWARF.
    DebugInfo,
    /// The symbol of a function reached from the vtable.
    Symbol,
    /// None: the name is the vtable's address.
    Address,
}

/// One `(future, scheduler)` pair that is spawned somewhere: one task vtable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskType {
    /// Address of the vtable; the key of the type.
    pub vtable: u64,
    /// `raw::poll`, as the vtable holds it.
    pub poll: u64,
    /// The function that is on the stack while the task is polled: `poll`, or what its single `jmp` goes to.
    pub body: u64,
    /// The first address behind that function; `None` where neither symbols nor unwind information say.
    pub body_end: Option<u64>,
    /// `raw::shutdown`, as the vtable holds it.
    pub shutdown: u64,
    /// Byte offset of the task's id from its header; `None` where the vtable has no such field (before Tokio 1.23).
    pub id_offset: Option<u32>,
    /// The same of its scheduler.
    pub scheduler_offset: Option<u32>,
    /// The same of its trailer, which lies behind its future.
    pub trailer_offset: Option<u32>,
    /// Which scheduler.
    pub kind: TaskKind,
    /// The future's type as its author would write it. `A | B` where the linker merged identical types.
    pub name: String,
    /// The type as the compiler wrote it, where it is known.
    pub raw_name: Option<String>,
    /// Where the name comes from.
    pub name_source: NameSource,
}

/// What a probe site tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A poll begins.
    PollStart,
    /// A poll ends pending; the task is not yet released. The handler reads the state word from the header.
    PollIdle,
    /// A task completes, in a poll or in a shutdown. The header is still alive. One completion may pass two such sites (Tokio
    /// before 1.10): the second is of a task that has ended.
    PollComplete,
    /// The function that polls returns (`ret`): the fallback end of a poll. The task is already released, the header must not be read.
    PollReturn,
    /// A waker is consumed to wake a task.
    WakeByVal,
    /// A waker is borrowed to wake a task.
    WakeByRef,
    /// A waker is put aside until its worker has polled others: `yield_now`, a spent coop budget. First argument: the `Waker`.
    Defer,
    /// A new task is about to be handed to its scheduler.
    Spawn,
    /// A new blocking task is about to be queued for the blocking pool.
    SpawnBlocking,
    /// A task is put into the queue of its `LocalSet`: by its spawn, or by a wake.
    LocalScheduled,
    /// A waker is cloned: mostly by a leaf future, to store it.
    CloneWaker,
}

/// The first kernel that emulates its own long nops, and calls through the five-byte one.
const EMULATES_NOPS: (u32, u32) = (6, 18);

/// How the kernel steps over the probed instruction (`arch/x86/kernel/uprobes.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InstructionClass {
    /// `push r64`: emulated.
    Push,
    /// One-byte `nop`: emulated.
    Nop,
    /// Five-byte `nop` (`0f 1f 44 00 00`): single-stepped before 6.18, a system call without a trap from 6.18 on.
    Nop5,
    /// Another of the kernel's own `nop`s of three to eight bytes: single-stepped before 6.18, emulated from 6.18 on.
    LongNop,
    /// Relative `jmp`: emulated.
    Jump,
    /// Conditional jump: emulated.
    ConditionalJump,
    /// Relative `call`: emulated.
    Call,
    /// Anything else that is allowed: executed out of line under the trap flag.
    SingleStepped,
    /// Prefixes that uprobes refuse (`lock`, `cs`, ...), or no valid instruction.
    Refused,
}

impl InstructionClass {
    /// Every kernel that we run on emulates it: no single step.
    #[must_use]
    pub fn is_emulated(self) -> bool {
        matches!(self, Self::Push | Self::Nop | Self::Jump | Self::ConditionalJump | Self::Call)
    }

    /// This kernel (major and minor version) emulates it, or does without a trap.
    #[must_use]
    pub fn is_emulated_by(self, kernel: (u32, u32)) -> bool {
        self.is_emulated() || matches!(self, Self::Nop5 | Self::LongNop) && kernel >= EMULATES_NOPS
    }
}

/// A general-purpose register.
#[expect(missing_docs, reason = "the names are the registers'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl std::fmt::Display for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

/// How the place of a site in its function was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// The first instruction of the function.
    Entry,
    /// An instruction that every path from the entry passes.
    AfterEntry,
    /// Before the atomic exchange inlined into a larger function.
    BeforeExchange,
    /// Right after that exchange, where a reference to the task is still held (complete, wake by reference).
    AfterExchange,
    /// A `ret`.
    Return,
}

/// One instruction a probe can sit on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// What a hit means.
    pub role: Role,
    /// Address of the instruction.
    pub vaddr: u64,
    /// Its offset in the file.
    pub file_offset: u64,
    /// How the kernel steps over it.
    pub class: InstructionClass,
    /// The instruction as text.
    pub instruction: String,
    /// The register that holds the task's header there; `None` only at [`Role::PollReturn`].
    pub header: Option<Register>,
    /// The register the stack pointer at the entry of the site's function is computed from: `rsp`, or `rbp` where the
    /// function keeps a frame pointer (with an over-aligned frame there is no other way).
    pub sp_base: Register,
    /// Entry stack pointer (where the return address lies) = `sp_base` + this, in bytes.
    pub sp_adjust: u32,
    /// The type in [`Inspection::task_types`], where the site belongs to exactly one.
    pub task_type: Option<u32>,
    /// One passage may hit the site several times (the head of a compare-exchange loop that retries
    /// under contention). The handler must be idempotent within a poll.
    pub repeats: bool,
    /// Where in its function it stands.
    pub placement: Placement,
    /// The function it stands in: its first address.
    pub function: u64,
    /// That function's name, where a symbol gives it. `A | B` where the linker merged functions.
    pub function_name: Option<String>,
    /// Why it tells what the plain sites tell.
    pub proof: Proof,
    /// The plain sites that it stands for, by address: the function's entry, or the loads from which an inlined exchange begins.
    #[serde(skip)]
    pub plain: Vec<Spot>,
    /// Everywhere it may sit, in the order in which they are passed; a plan takes the cheapest on its machine.
    #[serde(skip)]
    pub candidates: Vec<Spot>,
}

impl Site {
    /// The same event, seen at another of its instructions, whose offset in the file is `file_offset`.
    #[must_use]
    pub fn at(&self, spot: &Spot, file_offset: u64) -> Self {
        let spot = spot.clone();
        Self {
            vaddr: spot.vaddr,
            file_offset,
            class: spot.class,
            instruction: spot.instruction,
            header: Some(spot.header),
            sp_base: spot.sp_base,
            sp_adjust: spot.sp_adjust,
            repeats: spot.repeats,
            placement: spot.placement,
            proof: spot.proof,
            ..self.clone()
        }
    }
}

/// An instruction at which a site may sit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// Its address.
    pub vaddr: u64,
    /// How the kernel steps over it.
    pub class: InstructionClass,
    /// The instruction as text.
    pub instruction: String,
    /// The register that holds the task's header there.
    pub header: Register,
    /// As of [`Site`].
    pub sp_base: Register,
    /// As of [`Site`].
    pub sp_adjust: u32,
    /// As of [`Site`].
    pub repeats: bool,
    /// As of [`Site`].
    pub placement: Placement,
    /// Why it tells what the plain sites tell.
    pub proof: Proof,
}
