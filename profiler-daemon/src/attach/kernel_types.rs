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
        })
    }
}

const MAGIC: u16 = 0xeb9f;
const STRUCT: u32 = 4;

/// The offset in bytes of a direct member of a structure. `None` if there is none, or the bytes are not what they should be.
fn member_offset(bytes: &[u8], structure: &str, member: &str) -> Option<u32> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let magic = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
    if magic != MAGIC {
        return None;
    }
    let header = word(4)? as usize;
    let (types, types_len) = (header.checked_add(word(8)? as usize)?, word(12)? as usize);
    let (strings, strings_len) = (header.checked_add(word(16)? as usize)?, word(20)? as usize);
    let strings = bytes.get(strings..strings.checked_add(strings_len)?)?;
    let is_named = |offset: u32, name: &str| {
        strings
            .get(offset as usize..)
            .is_some_and(|rest| rest.strip_prefix(name.as_bytes()).is_some_and(|after| after.first() == Some(&0)))
    };

    let end = types.checked_add(types_len)?;
    let mut at = types;
    while at < end {
        let (name, info) = (word(at)?, word(at + 4)?);
        let (kind, count, bitfields) = (info >> 24 & 0x1f, (info & 0xffff) as usize, info >> 31 != 0);
        at += 12;
        if kind == STRUCT && is_named(name, structure) {
            for place in 0..count {
                let member_at = at + place * 12;
                if is_named(word(member_at)?, member) {
                    let bits = word(member_at + 8)?;
                    return Some(if bitfields { bits & 0xff_ffff } else { bits } / 8);
                }
            }
            return None;
        }
        at += tail_bytes(kind, count)?;
    }
    None
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
        STRUCT | 5 | 15 | 19 => count * 12,
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
