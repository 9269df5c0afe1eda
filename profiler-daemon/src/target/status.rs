//! `/proc/PID/stat` and `/proc/PID/status`, as far as they are needed (proc(5)).

use std::{io, path::Path};

/// The task is a kernel thread (include/linux/sched.h).
const PF_KTHREAD: u64 = 0x0020_0000;

/// What `stat` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) comm: String,
    state: u8,
    flags: u64,
}

impl Stat {
    /// `PID (COMM) STATE PPID PGRP SESSION TTY TPGID FLAGS ...`; COMM may hold spaces and parentheses itself, so it ends
    /// at the last parenthesis of the line.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|&byte| byte == b'(')?;
        let close = bytes.iter().rposition(|&byte| byte == b')')?;
        let comm = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let flags = fields.nth(5)?.parse().ok()?;
        Some(Self { comm, state, flags })
    }

    pub(super) const fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// A zombie, or on its way out. (A process whose first thread has ended while others live is a zombie too; it cannot
    /// be profiled, for its `exe` link is gone.)
    pub(super) const fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// What `status` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) tgid: u32,
    /// 0 none, 1 strict, 2 filter; `None` in a kernel built without.
    pub(super) seccomp: Option<u32>,
    pub(super) permitted: u64,
    pub(super) effective: u64,
}

impl Status {
    /// Reads `status` in a folder of a process or thread.
    pub(super) fn of(folder: &Path, id: u32) -> io::Result<Self> {
        let text = std::fs::read(folder.join("status"))?;
        Self::parse(&text)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("status of {id} does not read as proc(5) says")))
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut tgid, mut seccomp, mut permitted, mut effective) = (None, None, None, None);
        // The name comes first and has its newlines escaped: no line can be forged by it.
        for line in bytes.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match key {
                "Tgid" => tgid = value.parse().ok(),
                "Seccomp" => seccomp = value.parse().ok(),
                "CapPrm" => permitted = u64::from_str_radix(value, 16).ok(),
                "CapEff" => effective = u64::from_str_radix(value, 16).ok(),
                _ => {}
            }
        }
        Some(Self { tgid: tgid?, seccomp, permitted: permitted?, effective: effective? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields_after_it() {
        let line = b"77 (a) S 1 (b) Z) R 1 77 77 0 -1 4194560 100 0\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat, Stat { comm: "a) S 1 (b) Z".to_owned(), state: b'R', flags: 4_194_560 });
        assert!(!stat.is_kernel_thread() && !stat.is_dead());
    }

    #[test]
    fn kernel_threads_and_zombies() {
        assert!(Stat::parse(b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0").unwrap().is_kernel_thread());
        assert!(Stat::parse(b"9 (sleep) Z 1 9 9 0 -1 4227084 1 0").unwrap().is_dead());
    }

    #[test]
    fn broken_lines_are_refused() {
        for line in [&b""[..], b"1", b"1 (a", b"1 )a(", b"1 (a)", b"1 (a) S 1 2 3", b"1 (a) S 1 2 3 4 5 six"] {
            assert_eq!(Stat::parse(line), None);
        }
        assert_eq!(Status::parse(b"Name:\tx\n"), None);
    }

    #[test]
    fn status_of_a_thread() {
        let text = b"Name:\tx\xff\nTgid:\t70\nPid:\t71\nCapPrm:\t000001ffffffffff\nCapEff:\t000000ffffffffff\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let status = Status::parse(text).unwrap();
        assert_eq!(status, Status { tgid: 70, seccomp: Some(2), permitted: 0x1ff_ffff_ffff, effective: 0xff_ffff_ffff });
    }
}
