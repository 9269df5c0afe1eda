//! Walks the current thread's user stack by the daemon's tables. What a step does is `profiler_common::unwind`'s; here stands what only the
//! kernel can do: the registers, the target's memory, the tables' maps, and a loop that the verifier accepts.
//!
//! `sched_switch` and the sampling clock run with interrupts off and cannot be interrupted by one another on a CPU, so one [`Walk`] a CPU
//! suffices for them. A uprobe program can be: it walks in memory of its thread ([`walk_of_thread`]).

use core::ffi::c_void;
use core::mem::offset_of;

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_loop, bpf_task_pt_regs};
use profiler_common::awaits::WakerShape;
use profiler_common::gate::Gate;
use profiler_common::limits::{CHUNK_ROWS, REGIONS, STACK_FRAMES};
use profiler_common::loss::Loss;
use profiler_common::record::StackRecord;
use profiler_common::unwind::{CfaKind, Cursor, End, Memory, Region, RegionKind, RegionTable, Rule, search};

use crate::losses::lose;
use crate::maps::{NEW_WALK, REGION_TABLES, UNWIND_CHUNKS, UNWIND_RULES, WAKER_WALKS, WALK, WALKS};
use crate::memory::{User, read_kernel, read_user, read_words};
use crate::{hidden, threads};

/// A walk under way. It lies in a map because the loop's body may know nothing else, and because a record is larger than the stack.
#[repr(C)]
pub struct Walk {
    /// The frame it is at.
    cursor: Cursor,
    /// The frame it began at.
    first: Cursor,
    /// Where the return address of the task's poll lies.
    poll_sp: u64,
    /// The current region table.
    table: u32,
    /// [`End`] as a number.
    end: u32,
    /// What it is for: the frames go there.
    pub record: StackRecord,
    /// Of a thread's walk: where the frames' addresses lay.
    pub shape: WakerShape,
}

impl Walk {
    /// A walk that has not begun.
    pub const NEW: Self = Self {
        cursor: Cursor::NOWHERE,
        first: Cursor::NOWHERE,
        poll_sp: 0,
        table: 0,
        end: 0,
        record: StackRecord::EMPTY,
        shape: WakerShape::NONE,
    };

    #[inline(always)]
    fn begin(&mut self, cursor: Cursor, poll_sp: u64, gate: &Gate) {
        self.cursor = cursor;
        self.first = cursor;
        self.poll_sp = poll_sp;
        self.table = gate.regions;
        self.end = End::TooDeep as u32;
        self.record.frames = 0;
    }

    /// Counts the walk, which began at `started_ns`.
    #[inline(always)]
    fn end(&mut self, started_ns: u64) {
        self.record.end = self.end;
        if let Some(walks) = WALKS.get_ptr_mut(0) {
            // SAFETY: a map value of this CPU. A program that another of its kind preempts can lose one count.
            unsafe { (*walks).add(self.end, self.record.frames, threads::now_ns() - started_ns) };
        }
    }
}

/// Steps of one walk: a few more than frames, for a trampoline among them and a walk begun anew.
const STEPS: u32 = STACK_FRAMES as u32 + 4;

/// The walk of this CPU. A reference to it must not live across [`walk`], whose loop's body looks it up anew: the compiler would take what is
/// behind the reference for unchanged.
#[inline(always)]
pub fn scratch() -> Option<&'static mut Walk> {
    // SAFETY: a map value lives as long as the program runs, and no two programs that walk run on a CPU at a time.
    WALK.get_ptr_mut(0).map(|walk| unsafe { &mut *walk })
}

/// The user registers with which the current thread entered the kernel. They lie at the top of its kernel stack whatever it was that
/// made it enter (arch/x86/include/asm/processor.h, `task_pt_regs`).
#[inline(always)]
pub fn user_registers() -> *const c_void {
    // SAFETY: the current task has registers to point at.
    unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) as *const c_void }
}

/// The register at `offset` (bytes) of what [`user_registers`] gave; 0 where it cannot be read, which is a place that no walk goes on from.
#[inline(always)]
pub fn register(registers: *const c_void, offset: usize) -> u64 {
    read_kernel(registers, offset as u32).unwrap_or(0)
}

/// Walks the stack of the current thread from its user `registers` into the record of this CPU's walk, up to the poll whose return address
/// lies at `poll_sp`, and counts how it ended.
#[inline(always)]
pub fn walk(registers: *const c_void, poll_sp: u64, gate: &Gate) {
    let started_ns = threads::now_ns();
    let cursor = Cursor {
        pc: hidden::original(register(registers, offset_of!(pt_regs, rip))),
        sp: register(registers, offset_of!(pt_regs, rsp)),
        bp: register(registers, offset_of!(pt_regs, rbp)),
        is_return: 0,
    };
    let Some(begun) = scratch() else { return };
    begun.begin(cursor, poll_sp, gate);
    // SAFETY: the body is a function of this object, and takes nothing of the context.
    unsafe { bpf_loop(STEPS, frame as *mut c_void, core::ptr::null_mut(), 0) };
    let Some(walk) = scratch() else { return };
    walk.end(started_ns);
}

/// Walks the stack of the current thread `tid` from `cursor`, in memory of its own, up to the poll whose return address lies at `poll_sp`.
/// For programs that others can preempt.
#[inline(always)]
pub fn walk_of_thread(tid: u32, cursor: Cursor, poll_sp: u64, gate: &Gate) -> Option<&'static mut Walk> {
    let started_ns = threads::now_ns();
    prepare(tid);
    own(tid)?.begin(cursor, poll_sp, gate);
    let mut context = tid;
    // SAFETY: the body is a function of this object, and the context lives until it has ended.
    unsafe { bpf_loop(STEPS, frame_of_thread as *mut c_void, (&raw mut context).cast(), 0) };
    let walk = own(tid)?;
    walk.end(started_ns);
    walk.shape.frames = if walk.end == End::Poll as u32 { walk.record.frames } else { 0 };
    Some(walk)
}

/// Makes room for the walks of thread `tid`, if it has none yet.
#[inline(always)]
pub fn prepare(tid: u32) {
    if WAKER_WALKS.get_ptr_mut(tid).is_none() && WAKER_WALKS.insert(tid, &NEW_WALK, 0).is_err() {
        lose(Loss::AwaitNoRoom);
    }
}

/// The walk of thread `tid`, if it has one.
#[inline(always)]
fn own(tid: u32) -> Option<&'static mut Walk> {
    // SAFETY: a map value lives as long as the program runs, and a thread runs one handler at a time.
    WAKER_WALKS.get_ptr_mut(tid).map(|walk| unsafe { &mut *walk })
}

/// Words of a thread's stack, read at once into the memory of its walk.
pub struct Ahead<'walk> {
    words: Option<&'walk [u64; STACK_FRAMES]>,
    sp: u64,
    count: u64,
}

impl Memory for Ahead<'_> {
    /// What lies farther is read by itself.
    #[inline(always)]
    fn word(&self, address: u64) -> Option<u64> {
        let place = address.wrapping_sub(self.sp) / 8;
        match self.words {
            // Behind the comparison LLVM knows the bound and would leave it out; the verifier of 6.1 must see it here.
            Some(words) if place < self.count => Some(words[opaque(place) as usize & (STACK_FRAMES - 1)]),
            _ => read_user(address),
        }
    }
}

/// The first `count` words of the stack of thread `tid` from `sp` on, as many of them as there is room for; none if one cannot be read, or if
/// the thread has no walk of its own yet.
#[inline(always)]
pub fn ahead(tid: u32, sp: u64, count: u64) -> Ahead<'static> {
    let Some(walk) = own(tid) else { return Ahead { words: None, sp, count: 0 } };
    let words = &mut walk.record.stack;
    let count = if count > STACK_FRAMES as u64 { STACK_FRAMES as u64 } else { count };
    let count = if read_words(words, sp, count) { count } else { 0 };
    Ahead { words: Some(words), sp, count }
}

/// One frame of the walk of the thread that `context` names. 1 ends the loop.
extern "C" fn frame_of_thread(_index: u64, context: *mut c_void) -> i64 {
    // SAFETY: what `walk_of_thread` handed over.
    let tid = unsafe { *context.cast::<u32>() };
    let Some(walk) = own(tid) else { return 1 };
    let (frame, sp) = (walk.record.frames, walk.cursor.sp);
    // What lies right below a frame is the address it was returned to by.
    walk.shape.note(frame, walk.first.sp, sp.wrapping_sub(8));
    going(walk)
}

/// One frame. 1 ends the loop.
extern "C" fn frame(_index: u64, _context: *mut c_void) -> i64 {
    match scratch() {
        Some(walk) => going(walk),
        None => 1,
    }
}

/// Takes a walk one frame further. 1: it has come to its end.
#[inline(always)]
fn going(walk: &mut Walk) -> i64 {
    let end = one_frame(walk);
    if end as u32 == End::Going as u32 || end as u32 != End::Poll as u32 && at_a_breakpoint(walk) {
        return 0;
    }
    walk.end = end as u32;
    1
}

/// Whether a walk that came to nothing in its first step began at a probe whose trap is not handled yet: the pc is then one behind the
/// breakpoint, and the instruction under it has not run. A thread can lose its CPU there, on its way back from the trap
/// (kernel/entry/common.c, `exit_to_user_mode_loop`: rescheduling comes before uprobes). The walk begins anew before the breakpoint.
#[inline(always)]
fn at_a_breakpoint(walk: &mut Walk) -> bool {
    const BREAKPOINT: u8 = 0xcc;
    if walk.record.frames > 2 || walk.first.is_return != 0 {
        return false;
    }
    let before = walk.first.pc.wrapping_sub(1);
    if read_user::<u8>(before) != Some(BREAKPOINT) {
        return false;
    }
    // The same byte fills the room between functions, which no row describes.
    match find(walk.table, before) {
        Some(rule) if rule.cfa != CfaKind::Gap as u8 => {}
        _ => return false,
    }
    walk.cursor = Cursor { pc: before, ..walk.first };
    // Once.
    walk.first.is_return = 1;
    walk.record.frames = 0;
    true
}

#[inline(always)]
fn one_frame(walk: &mut Walk) -> End {
    let at = walk.cursor.lookup();
    let rule = find(walk.table, at);
    if rule.is_none() && walk.cursor.is_return != 0 {
        // A return probe has put its trampoline in the place of the return address, which lies right below this frame.
        // The same again: what it hid lies in no known mapping either.
        if let Some(pc) = hidden::caller(walk.cursor.sp.wrapping_sub(8))
            && pc != walk.cursor.pc
        {
            walk.cursor.pc = pc;
            return End::Going;
        }
    }
    let place = walk.record.frames as usize;
    if place >= STACK_FRAMES {
        return End::TooDeep;
    }
    // All but the first are looked up one byte before, so what is no return address goes one further.
    let exact = if place != 0 && walk.cursor.is_return == 0 { 1 } else { 0 };
    walk.record.stack[place & (STACK_FRAMES - 1)] = walk.cursor.pc + exact;
    walk.record.frames = place as u32 + 1;
    match rule {
        Some(rule) => walk.cursor.step(&rule, walk.poll_sp, &User),
        None => End::NoMapping,
    }
}

/// The rule at `address`. `None`: it lies in no known mapping.
#[inline(always)]
fn find(table: u32, address: u64) -> Option<Rule> {
    // The lower half: `search` counts on it.
    if address >> 47 != 0 {
        return None;
    }
    let table = REGION_TABLES.get_ptr(table & 1)?;
    // SAFETY: a map value lives as long as the program runs; the daemon does not write the current table.
    let table = unsafe { &*table };
    let region = table.regions[place(table, address) as usize & (REGIONS - 1)];
    if region.kind == RegionKind::None as u32 {
        return None;
    }
    if region.kind == RegionKind::FramePointers as u32 {
        return Some(Rule::of(CfaKind::FramePointer));
    }
    Some(in_chunk(&region, address).unwrap_or(Rule::of(CfaKind::Gap)))
}

/// The place of the region of `address`. A function of its own, so that the object's type information describes the table: it says nothing of
/// what only a map's definition names.
#[inline(never)]
fn place(table: &RegionTable, address: u64) -> u64 {
    search::region(address, opaque, |place| table.starts[place as usize & (REGIONS - 1)])
}

#[inline(always)]
fn in_chunk(region: &Region, address: u64) -> Option<Rule> {
    let pc = address.wrapping_sub(region.base);
    if pc >> 32 != 0 {
        return None;
    }
    // On the stack: LLVM would share a constant 0 with a global that is 0 in the object, and the loader puts another value there.
    let only = core::hint::black_box(0_u32);
    let chunk = UNWIND_CHUNKS.get_value(region.chunk, &only)?;
    let first = u64::from(region.first);
    let row_pc = |place: u64| chunk.pcs[(first + place) as usize & (CHUNK_ROWS - 1)];
    let place = search::row(pc as u32, region.rows, opaque, row_pc);
    let rule = chunk.rules[(first + place) as usize & (CHUNK_ROWS - 1)];
    UNWIND_RULES.get(u32::from(rule)).copied()
}

/// Gives `word` back in a way that the compiler cannot look through, see [`search`].
#[inline(always)]
fn opaque(mut word: u64) -> u64 {
    // One instruction, because with none the lines before and after would share an address, which the kernel refuses ("Invalid line_info").
    // SAFETY: a register is moved to itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) word, options(pure, nomem, nostack)) };
    word
}
