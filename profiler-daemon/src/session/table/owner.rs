//! Who has written a table: a daemon's pid and when it started, so that a later process with the same pid is not taken for it; and of whom,
//! because a process that forks leaves its child a copy.

use procfs::process::Process;

/// A daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// 0 for nobody.
    pub(super) pid: u32,
    /// The process whose table it is.
    of: u32,
    /// When it started (clock ticks since boot, `starttime` of proc_pid_stat(5)).
    started: u64,
}

impl Owner {
    /// This process, of the table of process `of`.
    pub(super) fn us(of: u32) -> Self {
        let pid = std::process::id();
        Self { pid, of, started: started(pid).unwrap_or(0) }
    }

    /// As it stands in the table.
    pub(super) fn of(bytes: &[u8; 16]) -> Self {
        let [p0, p1, p2, p3, o0, o1, o2, o3, rest @ ..] = *bytes;
        let (pid, of) = (u32::from_ne_bytes([p0, p1, p2, p3]), u32::from_ne_bytes([o0, o1, o2, o3]));
        Self { pid, of, started: u64::from_ne_bytes(rest) }
    }

    /// As it is to stand there.
    pub(super) fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let halves = [self.pid, self.of].into_iter().flat_map(u32::to_ne_bytes);
        let words = halves.chain(self.started.to_ne_bytes());
        for (place, byte) in bytes.iter_mut().zip(words) {
            *place = byte;
        }
        bytes
    }

    /// Whether it is alive, not this process, and has written the table of process `of`.
    pub(super) fn is_another(self, of: u32) -> bool {
        self.pid != 0 && self.of == of && self.pid != std::process::id() && started(self.pid) == Some(self.started)
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
        let us = Owner::us(7);
        assert_eq!(Owner::of(&us.bytes()), us);
        assert!(us.pid != 0 && us.started != 0 && !us.is_another(7));
        let init = Owner { pid: 1, of: 7, started: started(1).unwrap() };
        assert!(init.is_another(7));
        assert!(!init.is_another(8), "a fork's copy");
        assert!(!Owner { started: init.started + 1, ..init }.is_another(7), "the pid is another's now");
        assert!(!Owner { pid: 0, of: 0, started: 0 }.is_another(0));
    }
}
