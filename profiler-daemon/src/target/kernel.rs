//! The running kernel's version, and the oldest that serves.

use std::{fmt, io};

use thiserror::Error;

/// A kernel version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// As 6 in 6.1.
    pub major: u32,
    /// As 1 in 6.1.
    pub minor: u32,
    /// As 9 in 6.1.9; 0 where the release names none.
    pub patch: u32,
}

/// The oldest kernel that is supported, and tested: Debian 12's.
pub const FLOOR: KernelVersion = KernelVersion { major: 6, minor: 1, patch: 0 };

/// Why the kernel does not serve.
#[derive(Debug, Error)]
pub enum KernelError {
    /// Older than [`FLOOR`].
    #[error("the kernel is {running}, profiling needs {floor} or later", floor = FLOOR.short())]
    TooOld {
        /// What runs.
        running: KernelVersion,
    },
    /// A release that does not begin with two numbers.
    #[error("the kernel's release {0:?} names no version")]
    Unknown(String),
    /// `/proc` is not mounted, or not readable.
    #[error("cannot read /proc/sys/kernel/osrelease")]
    Unreadable(#[source] io::Error),
}

impl KernelVersion {
    /// Reads the beginning of a release, such as `6.18.44-cloud-amd64`.
    #[must_use]
    pub fn parse(release: &str) -> Option<Self> {
        let numbers = release.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        let mut numbers = numbers.split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        let patch = numbers.next().and_then(|patch| patch.parse().ok()).unwrap_or(0);
        Some(Self { major, minor, patch })
    }

    /// The running kernel's.
    pub fn running() -> Result<Self, KernelError> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(KernelError::Unreadable)?;
        Self::parse(&release).ok_or_else(|| KernelError::Unknown(release.trim().to_owned()))
    }

    /// `6.1`, as kernels are spoken of.
    fn short(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Whether it is at least [`FLOOR`].
    pub fn check(self) -> Result<(), KernelError> {
        if self < FLOOR { Err(KernelError::TooOld { running: self }) } else { Ok(()) }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn version(major: u32, minor: u32, patch: u32) -> KernelVersion {
        KernelVersion { major, minor, patch }
    }

    #[test]
    fn releases_of_several_houses() {
        let cases = [
            ("6.18.44-fc-v595\n", version(6, 18, 44)),
            ("6.1.0-28-amd64", version(6, 1, 0)),
            ("5.15.167.4-microsoft-standard-WSL2", version(5, 15, 167)),
            ("6.12+", version(6, 12, 0)),
            ("7.0-rc3", version(7, 0, 0)),
        ];
        for (release, expected) in cases {
            assert_eq!(KernelVersion::parse(release), Some(expected), "{release}");
        }
        for bad in ["", "linux", "6", "6.", ".1", "99999999999.1"] {
            assert_eq!(KernelVersion::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_floor_is_a_number_and_not_a_text() {
        assert!(version(6, 1, 0).check().is_ok());
        assert!(version(6, 18, 0).check().is_ok());
        assert!(version(10, 0, 0).check().is_ok());
        let error = version(6, 0, 19).check().unwrap_err();
        assert_eq!(error.to_string(), "the kernel is 6.0.19, profiling needs 6.1 or later");
    }

    #[test]
    fn this_machine_has_one() {
        assert!(KernelVersion::running().unwrap() > version(2, 6, 0));
    }
}
