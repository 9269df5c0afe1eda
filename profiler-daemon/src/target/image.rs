//! The program that a process ran when it was opened: whether it runs that one still. execve(2) keeps the pid and the pidfd, and gives
//! the process another memory.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::Target;

/// What a process runs, as against what it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// The program that it ran.
    TheSame,
    /// Another one, or the same anew.
    Another,
    /// None: it has ended, or is about to.
    Nothing,
}

/// A process's memory as it was when this was made.
#[derive(Debug)]
pub struct Image {
    /// `None` where it may not be opened: another user's, for one who is not root. Then another program is not noticed.
    memory: Option<File>,
}

impl Image {
    /// That of `target` now.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        Self { memory: File::open(target.proc_path("mem")).ok() }
    }

    /// What `target` runs now.
    #[must_use]
    pub fn now(&self, target: &Target) -> Runs {
        if !self.is_gone() {
            return Runs::TheSame;
        }
        // A process gives up its memory long before its end can be seen: only one that has another has begun another program. Its size is told to
        // everyone (fs/proc/array.c, `proc_pid_statm`), also to a profiler that has given up its capabilities.
        match std::fs::read_to_string(target.proc_path("statm")) {
            Ok(sizes) if !sizes.starts_with("0 ") => Runs::Another,
            Ok(_) | Err(_) => Runs::Nothing,
        }
    }

    /// Whether the memory is nobody's any more: the process has ended, or runs another program. The open file holds on to the memory of its
    /// opening; once that has no user left, reads give nothing (fs/proc/base.c, `mem_rw`: `mmget_not_zero`). While it has, they give a byte
    /// or, at an address where nothing is mapped, an error.
    fn is_gone(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| matches!(memory.read_at(&mut [0], 0), Ok(0)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn comes(what: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !what() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Check that a process that runs on has its image, and that one that runs another program, or has ended, has not.
    #[test]
    fn goes_with_execve_and_with_the_end() {
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", "read line; exec sleep 1000"]).stdin(Stdio::piped()).spawn().unwrap();
        let target = Target::open(shell.id()).unwrap();
        let image = Image::of(&target);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(image.now(&target), Runs::TheSame);
        shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
        assert!(comes(|| image.now(&target) == Runs::Another), "execve was not seen");
        assert!(!target.has_exited());
        let later = Image::of(&target);
        assert_eq!(later.now(&target), Runs::TheSame);
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!((later.now(&target), image.now(&target)), (Runs::Nothing, Runs::Nothing));
    }
}
