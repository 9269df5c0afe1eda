//! A system call filter like those that services run under: what it does not know kills the process.
//!
//! It knows the calls of Linux 5.x (x86-64 numbers 0 to 334 and 424 to 454) and none of the later
//! ones, `uretprobe` (335) among them: what Docker's default profile and systemd's
//! `SystemCallFilter=` looked like when return probes began to make a system call
//! (seccomp/libseccomp#438).

use std::io;

const ARCH_X86_64: u32 = 0xc000_003e;
/// Offsets in `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// Classic BPF (linux/bpf_common.h): `LD|W|ABS`, `JMP|JGE|K`, `JMP|JEQ|K`, `RET|K`.
const LOAD: u16 = 0x20;
const AT_LEAST: u16 = 0x35;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

fn filter() -> [libc::sock_filter; 8] {
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    [
        step(LOAD, ARCH, 0, 0),
        step(EQUAL, ARCH_X86_64, 0, 5),
        step(LOAD, NUMBER, 0, 0),
        step(AT_LEAST, 455, 3, 0),
        step(AT_LEAST, 424, 1, 0),
        step(AT_LEAST, 335, 1, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        step(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
    ]
}

/// Puts the calling thread, and every thread it makes from now on, under the filter.
pub fn install() -> io::Result<()> {
    let mut filter = filter();
    let program =
        libc::sock_fprog { len: libc::c_ushort::try_from(filter.len()).map_err(io::Error::other)?, filter: filter.as_mut_ptr() };
    // SAFETY: plain numbers; it only takes privileges away.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: `program` and the array it points at are live during the call; the kernel copies them.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) })
}

/// Makes a system call that no kernel has, to show that the filter kills.
pub fn break_rule() -> io::Result<()> {
    // SAFETY: no such call; without a filter the kernel answers ENOSYS.
    let answer = unsafe { libc::syscall(999) };
    Err(io::Error::other(format!("system call 999 came back with {answer}")))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
