//! Who has written a table: a daemon's pid and when it started, so that a later process with the same pid is not taken for it.

use procfs::process::Process;

/// A daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// 0 for nobody.
    pub(super) pid: u32,
    /// When it started (clock ticks since boot, `starttime` of proc_pid_stat(5)).
    started: u64,
}

impl Owner {
    /// This process.
    pub(super) fn us() -> Self {
        let pid = std::process::id();
        Self { pid, started: started(pid).unwrap_or(0) }
    }

    /// As it stands in the table.
    pub(super) fn of(bytes: &[u8; 16]) -> Self {
        let [p0, p1, p2, p3, _, _, _, _, rest @ ..] = *bytes;
        Self { pid: u32::from_ne_bytes([p0, p1, p2, p3]), started: u64::from_ne_bytes(rest) }
    }

    /// As it is to stand there.
    pub(super) fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let words = u64::from(self.pid).to_ne_bytes().into_iter().chain(self.started.to_ne_bytes());
        for (place, byte) in bytes.iter_mut().zip(words) {
            *place = byte;
        }
        bytes
    }

    /// Whether it is alive, and not this process.
    pub(super) fn is_another(self) -> bool {
        self.pid != 0 && self.pid != std::process::id() && started(self.pid) == Some(self.started)
    }
}

fn started(pid: u32) -> Option<u64> {
    let process = Process::new(pid.cast_signed()).ok()?;
    let stat = process.stat().ok()?;
    // One that has been killed holds nothing, though its parent has not asked for it yet.
    (stat.state != 'Z').then_some(stat.starttime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_whole_and_knows_the_living() {
        let us = Owner::us();
        assert_eq!(Owner::of(&us.bytes()), us);
        assert!(us.pid != 0 && us.started != 0 && !us.is_another());
        let init = Owner { pid: 1, started: started(1).unwrap() };
        assert!(init.is_another());
        assert!(!Owner { started: init.started + 1, ..init }.is_another(), "the pid is another's now");
        assert!(!Owner { pid: 0, started: 0 }.is_another());
    }
}
