//! What this kernel can do, found out by trying.

use std::os::fd::AsFd as _;

use aya_obj::generated::{bpf_attach_type, bpf_insn};

use super::AttachError;
use super::sys::{self, MultiLink, UprobeProgram};

/// Whether the kernel can attach many uprobes by one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UprobeMulti {
    /// Yes, for all threads of one process.
    Works,
    /// It has the link, but filters by one thread instead of the process (6.6 to 6.9; mended by kernel commit 46ba0e49b).
    OneThreadOnly,
    /// It has no such link (before 6.6).
    Missing,
}

/// `r0 = 0; exit`, the smallest program.
const RETURN_ZERO: [(u8, u8); 2] = [(0xb7, 0), (0x95, 0)];

/// Tries two impossible links, as libbpf does (tools/lib/bpf/features.c, `probe_uprobe_multi_link`). On the path "/", which is no file,
/// every kernel with the link answers EBADF, and one without it EINVAL: it does load the program, 6.1 looks at a kprobe program's attach
/// type no sooner than there. With pid -1 a good kernel refuses the pid (EINVAL); a broken one does not look at it and comes as far as
/// the path.
#[must_use]
pub fn uprobe_multi() -> UprobeMulti {
    let instructions = RETURN_ZERO.map(|(code, registers)| {
        let mut instruction = bpf_insn {
            code,
            _bitfield_align_1: [],
            _bitfield_1: aya_obj::generated::__BindgenBitfieldUnit::new([registers]),
            off: 0,
            imm: 0,
        };
        instruction.set_dst_reg(0);
        instruction
    });
    let multi = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    let Ok(program) = sys::load_uprobe_program(&UprobeProgram {
        name: c"try_multi",
        license: c"GPL",
        instructions: &instructions,
        functions: None,
        attach_type: multi,
    }) else {
        return UprobeMulti::Missing;
    };
    let refusal = |pid| {
        let link = MultiLink { path: c"/", offsets: &[0], cookies: &[0], semaphores: &[], pid, on_return: false };
        sys::link_uprobe_multi(program.as_fd(), &link).err().and_then(|error| error.raw_os_error())
    };
    verdict(refusal(0), refusal(-1))
}

/// What a kernel has that refuses a link on "/" with the one error for all processes, and with the other for pid -1.
const fn verdict(all_processes: Option<i32>, pid_minus_one: Option<i32>) -> UprobeMulti {
    match (all_processes, pid_minus_one) {
        (Some(libc::EBADF), Some(libc::EINVAL)) => UprobeMulti::Works,
        (Some(libc::EBADF), Some(libc::EBADF)) => UprobeMulti::OneThreadOnly,
        _ => UprobeMulti::Missing,
    }
}

/// Whether a return probe is safe in a target, going by whether any of its threads is under a seccomp filter: from 6.11 on x86-64 the
/// probe's trampoline makes a system call that a filter may kill for.
#[must_use]
pub const fn return_probe_is_safe(kernel: (u32, u32), under_seccomp_filter: bool) -> bool {
    !under_seccomp_filter || kernel.0 < 6 || kernel.0 == 6 && kernel.1 < 11
}

const ONLINE: &str = "/sys/devices/system/cpu/online";

/// The CPUs that are online.
pub fn online_cpus() -> Result<Vec<u32>, AttachError> {
    aya::util::online_cpus().map_err(|(_, source)| AttachError::Cpus { path: ONLINE.to_owned(), source })
}

/// Whether this is a virtual machine, where a trap costs several times more: the hypervisor bit of `cpuid` leaf 1 (`ecx` bit 31), which
/// processors leave clear.
#[must_use]
pub fn is_virtual_machine() -> bool {
    std::arch::x86_64::__cpuid(1).ecx >> 31 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check the answers of 6.1.192 (no link: EINVAL both times), of 6.12 and 6.18, and of a kernel that filters by one thread.
    #[test]
    fn refusals_tell_kernels_apart() {
        assert_eq!(verdict(Some(libc::EINVAL), Some(libc::EINVAL)), UprobeMulti::Missing);
        assert_eq!(verdict(Some(libc::EBADF), Some(libc::EINVAL)), UprobeMulti::Works);
        assert_eq!(verdict(Some(libc::EBADF), Some(libc::EBADF)), UprobeMulti::OneThreadOnly);
        assert_eq!(verdict(Some(libc::EPERM), Some(libc::EPERM)), UprobeMulti::Missing);
    }
}
