//! A traced child from the stop behind execve(2) to its program's first instruction.
//!
//! At the stop only the program and the dynamic loader are mapped, and the loader's first instruction is next. That is too early. Until the
//! loader has made the relocated part read-only, the page of the file that this part shares with the data behind it is mapped writable twice,
//! and the kernel counts a probe's semaphore up in the first of the two (`find_ref_ctr_vma`, kernel/events/uprobes.c), which is the
//! wrong one: the probes of the annotation would never be reached. So the loader does its work first, as under a debugger: a breakpoint at
//! the program's entry. By then its libraries are mapped too, and stacks through them can be walked from the start.

use std::fs;

use nix::errno::Errno;
use nix::libc::{AT_BASE, AT_ENTRY, c_long, c_void};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// `int3`.
const BREAKPOINT: c_long = 0xcc;
/// The byte of a word that it replaces.
const FIRST_BYTE: c_long = 0xff;

/// Runs the loader, where the program has one. `false`: the child has ended meanwhile, and is reaped.
pub(super) fn run_loader(pid: Pid) -> Result<bool, Errno> {
    let Some(entry) = entry_behind_loader(pid) else { return Ok(true) };
    let place = entry as *mut c_void;
    let word = ptrace::read(pid, place)?;
    ptrace::write(pid, place, word & !FIRST_BYTE | BREAKPOINT)?;
    let mut signal = None;
    loop {
        ptrace::cont(pid, signal)?;
        match waitpid(pid, None)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => break,
            // Somebody's signal: it is the child's.
            WaitStatus::Stopped(_, other) => signal = Some(other),
            // The loader gives up where a library is missing, and says so itself.
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Ok(false),
            _ => signal = None,
        }
    }
    ptrace::write(pid, place, word)?;
    let mut registers = ptrace::getregs(pid)?;
    // Behind the breakpoint stands the instruction that it replaced.
    registers.rip = entry;
    ptrace::setregs(pid, registers)?;
    Ok(true)
}

/// The address of the program's entry, where a loader comes before it.
fn entry_behind_loader(pid: Pid) -> Option<u64> {
    of_auxv(&fs::read(format!("/proc/{pid}/auxv")).ok()?)
}

/// The same, by the process's auxiliary vector: pairs of key and value. A program without a loader has the base 0, or none.
fn of_auxv(auxv: &[u8]) -> Option<u64> {
    let (words, _) = auxv.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    let value = |wanted| {
        let found = pairs.iter().find(|[key, _]| u64::from_ne_bytes(*key) == wanted);
        found.map(|[_, value]| u64::from_ne_bytes(*value)).filter(|value| *value != 0)
    };
    value(AT_BASE).and(value(AT_ENTRY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loader_is_run() {
        let auxv = |pairs: &[(u64, u64)]| {
            pairs.iter().flat_map(|(key, value)| [key.to_ne_bytes(), value.to_ne_bytes()].concat()).collect::<Vec<_>>()
        };
        assert_eq!(of_auxv(&auxv(&[(33, 1), (AT_BASE, 0x1000), (AT_ENTRY, 0x2000), (0, 0)])), Some(0x2000));
        assert_eq!(of_auxv(&auxv(&[(AT_BASE, 0), (AT_ENTRY, 0x2000), (0, 0)])), None);
        assert_eq!(of_auxv(&auxv(&[(AT_ENTRY, 0x2000)])), None);
        assert_eq!(of_auxv(&auxv(&[(AT_BASE, 1)])[..9]), None);
        assert_eq!(of_auxv(&[]), None);
    }
}
