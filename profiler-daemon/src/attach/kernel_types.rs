//! Offsets of kernel structures, from the running kernel's own type information: Rust has no CO-RE relocations, so the daemon looks them
//! up and passes them to the programs as constants.
//!
//! The format is Documentation/bpf/btf.rst: a header, a table of types, a table of strings.

use super::AttachError;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Where the kernel side finds what it needs of a `struct task_struct` (bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskOffsets {
    /// `pid`, which is the thread id.
    pub(super) pid: u32,
    /// `tgid`, which is the process id.
    pub(super) tgid: u32,
    /// `se.sum_exec_runtime`, which is its CPU time.
    pub(super) cpu_time: u32,
    /// `flags`, by which workers of the kernel's own are told.
    pub(super) flags: u32,
    /// `thread.fsbase`, which is the thread pointer (arch/x86/include/asm/processor.h). `None`: this kernel calls it otherwise, and ids of other
    /// libraries are not read.
    pub(super) thread_pointer: Option<u32>,
    /// Where the kernel keeps what probes hide. `None`: this kernel calls it otherwise, and stacks are cut there.
    pub(super) probes: Option<ProbeOffsets>,
}

/// From a thread to what its probes hide of its stack (bytes), include/linux/uprobes.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProbeOffsets {
    /// `task_struct.utask`.
    pub(super) utask: u32,
    /// `uprobe_task.return_instances`.
    pub(super) instances: u32,
    /// `return_instance.stack`: where the return address lies.
    pub(super) stack: u32,
    /// `return_instance.orig_ret_vaddr`: the address itself.
    pub(super) caller: u32,
    /// `return_instance.next`.
    pub(super) next: u32,
    /// `uprobe_task.xol_vaddr`: where a copy of a probed instruction is being run out of line.
    pub(super) copy: u32,
    /// `uprobe_task.vaddr`: where the instruction stands.
    pub(super) original: u32,
}

impl TaskOffsets {
    /// Reads them from the running kernel.
    pub(super) fn of_running_kernel() -> Result<Self, AttachError> {
        let bytes = std::fs::read(VMLINUX).map_err(AttachError::KernelTypesFile)?;
        let field = |structure: &'static str, field: &'static str| {
            member_offset(&bytes, structure, field).ok_or(AttachError::NoKernelField { structure, field })
        };
        Ok(Self {
            pid: field("task_struct", "pid")?,
            tgid: field("task_struct", "tgid")?,
            cpu_time: field("task_struct", "se")?.saturating_add(field("sched_entity", "sum_exec_runtime")?),
            flags: field("task_struct", "flags")?,
            thread_pointer: thread_pointer(&bytes),
            probes: ProbeOffsets::find(&bytes),
        })
    }
}

fn thread_pointer(bytes: &[u8]) -> Option<u32> {
    let thread = member_offset(bytes, "task_struct", "thread")?;
    thread.checked_add(member_offset(bytes, "thread_struct", "fsbase")?)
}

impl ProbeOffsets {
    fn find(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            utask: member_offset(bytes, "task_struct", "utask")?,
            instances: member_offset(bytes, "uprobe_task", "return_instances")?,
            stack: member_offset(bytes, "return_instance", "stack")?,
            caller: member_offset(bytes, "return_instance", "orig_ret_vaddr")?,
            next: member_offset(bytes, "return_instance", "next")?,
            copy: member_offset(bytes, "uprobe_task", "xol_vaddr")?,
            original: member_offset(bytes, "uprobe_task", "vaddr")?,
        })
    }
}

const MAGIC: u16 = 0xeb9f;
const STRUCT: u32 = 4;
const UNION: u32 = 5;

/// The offset in bytes of a member of a structure, also of one inside nameless structures and unions in it. `None` if there is none, or the
/// bytes are not what they should be.
fn member_offset(bytes: &[u8], structure: &str, member: &str) -> Option<u32> {
    let types = Types::read(bytes)?;
    let mut found = types.of_kind(STRUCT).filter(|at| types.is_named(*at, structure));
    types.offset_in(found.next()?, member, NESTING)
}

/// How deep nameless members are looked into.
const NESTING: u32 = 4;

/// The type information, with where each type stands.
struct Types<'b> {
    bytes: &'b [u8],
    strings: &'b [u8],
    /// The place of each type's three words; type 1 is the first.
    places: Vec<usize>,
}

impl<'b> Types<'b> {
    fn read(bytes: &'b [u8]) -> Option<Self> {
        let word = |at: usize| word(bytes, at);
        let magic = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
        if magic != MAGIC {
            return None;
        }
        let header = word(4)? as usize;
        let (types, types_len) = (header.checked_add(word(8)? as usize)?, word(12)? as usize);
        let (strings, strings_len) = (header.checked_add(word(16)? as usize)?, word(20)? as usize);
        let strings = bytes.get(strings..strings.checked_add(strings_len)?)?;
        let end = types.checked_add(types_len)?;
        let mut places = Vec::new();
        let mut at = types;
        while at < end {
            let info = word(at.checked_add(4)?)?;
            places.push(at);
            at = at.checked_add(12)?.checked_add(tail_bytes(kind(info), count(info))?)?;
        }
        Some(Self { bytes, strings, places })
    }

    fn of_kind(&self, wanted: u32) -> impl Iterator<Item = usize> {
        self.places.iter().copied().filter(move |at| word(self.bytes, at + 4).is_some_and(|info| kind(info) == wanted))
    }

    fn is_named(&self, at: usize, name: &str) -> bool {
        let offset = word(self.bytes, at).unwrap_or(0) as usize;
        let rest = self.strings.get(offset..).unwrap_or_default();
        rest.strip_prefix(name.as_bytes()).is_some_and(|after| after.first() == Some(&0))
    }

    fn offset_in(&self, at: usize, member: &str, nesting: u32) -> Option<u32> {
        let info = word(self.bytes, at + 4)?;
        let has_bitfields = info >> 31 != 0;
        for place in 0..count(info) {
            let member_at = at + 12 + place * 12;
            let bits = word(self.bytes, member_at + 8)?;
            let offset = if has_bitfields { bits & 0xff_ffff } else { bits } / 8;
            if self.is_named(member_at, member) {
                return Some(offset);
            }
            let number = word(self.bytes, member_at + 4)? as usize;
            let inner = number.checked_sub(1).and_then(|place| self.places.get(place)).copied();
            let Some(inner) = inner.filter(|_| nesting > 0 && self.is_named(member_at, "")) else { continue };
            let is_container = word(self.bytes, inner + 4).is_some_and(|info| matches!(kind(info), STRUCT | UNION));
            if is_container && let Some(deeper) = self.offset_in(inner, member, nesting - 1) {
                return offset.checked_add(deeper);
            }
        }
        None
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

const fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

const fn count(info: u32) -> usize {
    (info & 0xffff) as usize
}

/// Bytes that follow the three words of a type of this kind.
fn tail_bytes(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        // pointer, forward, typedef, volatile, const, restrict, function, float, type tag
        2 | 7..=12 | 16 | 18 => 0,
        // integer, variable, declaration tag
        1 | 14 | 17 => 4,
        // array
        3 => 12,
        // structure, union, data section, 64-bit enumeration
        STRUCT | UNION | 15 | 19 => count * 12,
        // enumeration, function prototype
        6 | 13 => count * 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the running kernel's own types are understood to the last one.
    #[test]
    fn reads_the_running_kernel() {
        let Ok(bytes) = std::fs::read(VMLINUX) else {
            println!("SKIPPED: reads_the_running_kernel: no {VMLINUX}");
            return;
        };
        let (pid, tgid) = (member_offset(&bytes, "task_struct", "pid"), member_offset(&bytes, "task_struct", "tgid"));
        assert_eq!(pid.map(|offset| offset + 4), tgid);
        assert!(ProbeOffsets::find(&bytes).is_some());
        assert!(thread_pointer(&bytes).is_some());
        assert_eq!(member_offset(&bytes, "task_struct", "no_such_member"), None);
        assert_eq!(member_offset(&bytes, "no_such_structure", "pid"), None);
    }

    /// Check that cut or senseless bytes give nothing, and no panic.
    #[test]
    fn hostile_bytes_give_nothing() {
        assert_eq!(member_offset(&[], "task_struct", "pid"), None);
        let mut bytes = vec![0xff; 64];
        bytes[..2].copy_from_slice(&MAGIC.to_le_bytes());
        assert_eq!(member_offset(&bytes, "task_struct", "pid"), None);
        for byte in 0..=255 {
            let mut bytes = vec![byte; 200];
            bytes[..2].copy_from_slice(&MAGIC.to_le_bytes());
            bytes[4..24].copy_from_slice(&[24, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 100, 0, 0, 0, 50, 0, 0, 0]);
            let _ = member_offset(&bytes, "task_struct", "pid");
        }
    }
}
