//! Another process as the target: only it counts, and time in which it is stopped is told.

use profiler_common::loss::Loss;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, sleep, spin};
use crate::player::poll::{pending, ready};
use crate::player::task::{Kind, Task};
use crate::session::{Session, Wish};

/// A child with this process's memory and code, so that addresses are the same in both.
struct Child {
    pid: libc::pid_t,
    go: libc::c_int,
}

impl Child {
    /// Runs `act` in a child as soon as it is told to. `act` must not allocate: another thread's lock may be held in the copy for ever.
    fn which_will(act: impl FnOnce()) -> Self {
        let mut pipe = [0; 2];
        // SAFETY: writes two descriptors.
        assert_eq!(unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        // SAFETY: the child calls nothing that takes a lock, and leaves by `_exit`.
        let pid = unsafe { libc::fork() };
        if pid != 0 {
            assert!(pid > 0);
            return Self { pid, go: pipe[1] };
        }
        let mut word = 0_u8;
        // SAFETY: reads one byte.
        unsafe { libc::read(pipe[0], (&raw mut word).cast(), 1) };
        act();
        // SAFETY: no destructors are to run in the copy.
        unsafe { libc::_exit(0) }
    }

    fn go(&self) {
        // SAFETY: writes one byte.
        assert_eq!(unsafe { libc::write(self.go, [1_u8].as_ptr().cast(), 1) }, 1);
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: a child of ours that nobody has waited for.
        assert_eq!(unsafe { libc::kill(self.pid, signal) }, 0);
    }

    fn wait(&self, flags: libc::c_int) {
        let mut status = 0;
        // SAFETY: writes one integer.
        assert_eq!(unsafe { libc::waitpid(self.pid, &raw mut status, flags) }, self.pid);
    }
}

/// Check that a stop inside a poll is blocked time, of which the stopped part is told, and that this process's own hits are not the
/// target's.
#[test]
fn a_stopped_poll_is_blocked_and_says_why() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let task = Task::new(Kind::First, 7);
    let stopped = || {
        spin(5 * MS);
        // SAFETY: a signal to itself, which takes no memory.
        unsafe { libc::raise(libc::SIGSTOP) };
        spin(55 * MS);
    };
    let child = Child::which_will(|| _ = ready(&task, stopped));
    let mut session = Session::open_with(&Wish { pid: child.pid.cast_unsigned(), ..Wish::default() });
    child.go();
    // It stops itself, so that it is in its poll then, whatever else the machine does.
    child.wait(libc::WUNTRACED);
    // Beside it, polls of our own at the same sites.
    let own = Task::new(Kind::Second, 8);
    pending(&own, || sleep(20));
    child.signal(libc::SIGCONT);
    child.wait(0);
    let view = session.collect();
    let totals = view.totals(Kind::First);
    assert_eq!((totals.count, totals.polls), (1, 1), "{totals:?}");
    assert!(totals.states.stopped_ns >= 20 * MS, "{totals:?}");
    assert!(view.hides_a_switch() || totals.states.running_ns >= 58 * MS, "{totals:?}");
    assert_eq!((view.0.tasks.len(), view.totals(Kind::Second).count), (0, 0));
    view.lost(&[]);
    assert!(view.0.losses.iter().any(|(loss, _)| *loss == Loss::RecursionMiss));
    Ok(())
}
