//! What a hardened kernel forbids, whoever asks: lockdown and Yama.

use std::fs;

/// How far the kernel is locked down (kernel_lockdown(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Not at all, or this kernel knows none, or it cannot be told.
    None,
    /// Nobody changes the kernel. Probes, programs and their reading are none of that.
    Integrity,
    /// Nor reads it: no program may read memory, and no event of the machine's is counted (security/security.c, `LOCKDOWN_BPF_READ_KERNEL`,
    /// `LOCKDOWN_PERF`).
    Confidentiality,
}

impl Lockdown {
    /// As it is in force. The file is in securityfs, which need not be mounted.
    #[must_use]
    pub fn in_force() -> Self {
        fs::read_to_string("/sys/kernel/security/lockdown").map_or(Self::None, |text| Self::of(&text))
    }

    /// `none [integrity] confidentiality`: the one in force stands in brackets.
    fn of(text: &str) -> Self {
        let mode = text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(mode, _)| mode);
        match mode {
            Some("confidentiality") => Self::Confidentiality,
            Some("integrity") => Self::Integrity,
            _ => Self::None,
        }
    }

    /// Whether anything can be measured.
    pub const fn check(self) -> Result<(), LockedDown> {
        match self {
            Self::Confidentiality => Err(LockedDown),
            Self::None | Self::Integrity => Ok(()),
        }
    }
}

/// The kernel lets nobody measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the kernel is locked down (/sys/kernel/security/lockdown says confidentiality), so that no BPF program may read memory, not even root's: nothing can be \
     profiled until it is booted with lockdown=integrity or without"
)]
pub struct LockedDown;

/// Who may look into whose memory, by Yama (Documentation/admin-guide/LSM/Yama.rst). Only values above 0, which change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtraceScope(u8);

impl PtraceScope {
    /// As it is in force. `None`: everybody may look into their own processes, or this kernel has no Yama.
    #[must_use]
    pub fn in_force() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?)
    }

    fn of(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|scope| *scope > 0).map(Self)
    }

    /// Whether nobody may, root included.
    #[must_use]
    pub const fn is_shut(self) -> bool {
        self.0 >= 3
    }

    /// The sysctl's value.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_in_brackets_is_in_force() {
        assert_eq!(Lockdown::of("[none] integrity confidentiality\n"), Lockdown::None);
        assert_eq!(Lockdown::of("none [integrity] confidentiality\n"), Lockdown::Integrity);
        assert_eq!(Lockdown::of("none integrity [confidentiality]\n"), Lockdown::Confidentiality);
        for odd in ["", "none", "[", "[confidentiality", "]confidentiality["] {
            assert_eq!(Lockdown::of(odd), Lockdown::None, "{odd:?}");
        }
        assert!(Lockdown::Integrity.check().is_ok() && Lockdown::Confidentiality.check().is_err());
    }

    #[test]
    fn a_scope_counts_from_one_on() {
        let shut = |text| PtraceScope::of(text).map(PtraceScope::is_shut);
        assert_eq!([shut("0\n"), shut("1\n"), shut("2\n"), shut("3\n")], [None, Some(false), Some(false), Some(true)]);
        assert_eq!([shut(""), shut("-1"), shut("300")], [None; 3]);
    }
}
