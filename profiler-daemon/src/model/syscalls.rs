//! Names of system calls, by the numbers of the architecture that the daemon runs on: the target runs on the same.

use syscalls::Sysno;

/// The call's name as in `man 2`, or its number where this build does not know it: kernels get new ones.
#[must_use]
pub fn syscall_name(number: u32) -> String {
    let known = usize::try_from(number).ok().and_then(Sysno::new);
    known.map_or_else(|| format!("system call {number}"), |call| call.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that numbers of this architecture have their names, and that unknown ones are told by number.
    #[test]
    fn numbers_have_names() {
        assert_eq!(syscall_name(u32::try_from(libc::SYS_clock_nanosleep).unwrap()), "clock_nanosleep");
        assert_eq!(syscall_name(u32::try_from(libc::SYS_futex).unwrap()), "futex");
        assert_eq!(syscall_name(u32::MAX), "system call 4294967295");
    }
}
