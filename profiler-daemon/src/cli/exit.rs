//! The exit codes: one table that makes the enum, its docs, `--help` and the man page.
//!
//! A script can tell "the request never came" from "no privileges" without reading messages. Codes are stable: a code is
//! never given another meaning, and new ones are added at the end of their group.

use std::fmt::Write as _;

macro_rules! exit_codes {
    ($($name:ident = $code:literal, $meaning:literal;)+) => {
        /// Why the program ended, as the number the shell sees.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Exit {
            $(#[doc = $meaning] $name = $code,)+
        }

        impl Exit {
            /// Every exit code, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What the code means, in a phrase.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)+
                }
            }
        }
    };
}

exit_codes! {
    Success = 0, "done";
    Internal = 1, "an error that has no code of its own, or a fault of the profiler";
    Usage = 2, "wrong arguments";
    Output = 3, "the result could not be written";
    NoSuchProcess = 10, "no process has this pid";
    KernelThread = 11, "the pid is a kernel thread";
    ThreadOfProcess = 12, "the pid is a thread of another process";
    UnsupportedTarget = 13, "the target is not an x86-64 program, or is the profiler itself";
    NotTokio = 14, "the target is not a Tokio program";
    SitesNotFound = 15, "a Tokio program, but its probe sites cannot be found";
    Unreadable = 16, "the target's program or files cannot be read";
    NotAnnotated = 17, "requests were asked for, and the target does not name any";
    NoSuchKey = 18, "the key that was to name requests is not in the target, or cannot be read there";
    TableTaken = 19, "another profiler measures requests of the target";
    NoPrivileges = 20, "the privileges to profile are missing";
    KernelTooOld = 21, "the kernel is older than 6.1";
    KernelRefused = 22, "the kernel refused a program, a map or a probe";
    TargetDied = 30, "the target died during the attach";
    TargetLost = 31, "the target ended before the recording did; what was seen is written";
    RequestNeverCame = 32, "the wanted request was not seen in the given time";
    SocketInUse = 40, "another daemon listens on the control socket";
    SocketUnusable = 41, "the control socket cannot be made or reached";
    NoDaemon = 42, "no daemon listens";
    SeveralDaemons = 43, "several daemons run and none was named";
    NotFound = 44, "the daemon knows no such request or task";
    DaemonFailed = 45, "the daemon refused the command or failed at it";
    NotLocal = 50, "no process of this machine listens where the URL points, or several do";
    NoCurl = 51, "curl is not installed";
    CurlFailed = 52, "curl failed: its own message and code are told";
    NoKey = 53, "the key for tokens cannot be read or written";
    TokenRefused = 54, "the service refused the token";
    CannotStart = 60, "the program that was to be profiled cannot be started";
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The `EXIT CODES` section of `--help`.
#[must_use]
pub fn help_section() -> String {
    let mut text = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:>2}  {}", exit.code(), exit.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_stay_below_the_shells_own() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
        // The shell gives 126 and above to "cannot execute" and to signals.
        assert!(codes.iter().all(|&code| code < 126));
    }

    #[test]
    fn the_section_names_every_code() {
        let section = help_section();
        for exit in Exit::ALL {
            assert!(section.contains(&format!("{:>2}  {}", exit.code(), exit.meaning())));
        }
    }

    /// The numbers are a promise to scripts; this test is the second place that must be changed on purpose.
    #[test]
    fn the_promised_numbers() {
        assert_eq!(Exit::NoSuchProcess.code(), 10);
        assert_eq!(Exit::KernelThread.code(), 11);
        assert_eq!(Exit::NotTokio.code(), 14);
        assert_eq!(Exit::SitesNotFound.code(), 15);
        assert_eq!(Exit::NoPrivileges.code(), 20);
        assert_eq!(Exit::KernelTooOld.code(), 21);
        assert_eq!(Exit::TargetDied.code(), 30);
        assert_eq!(Exit::RequestNeverCame.code(), 32);
        assert_eq!(Exit::SocketInUse.code(), 40);
    }
}
