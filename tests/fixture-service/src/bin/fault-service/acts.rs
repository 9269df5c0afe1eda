//! What a process does to itself.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use fixture_service::control::say;
use profiler_annotate::RequestId;
use tokio::runtime::Builder;

use crate::{load, total};

/// Requests that a forked child serves.
const OF_CHILD: u64 = 300;

/// Forks. The child has a copy of everything but the other threads: it serves requests of its own, says that it has, and waits for its end.
pub(crate) fn fork() -> io::Result<u32> {
    // SAFETY: this is the main thread, which runs none of the runtime's tasks and holds no lock; the C library sees to its own locks.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    if child > 0 {
        return Ok(child.unsigned_abs());
    }
    // SAFETY: takes a number. The child does not outlive us.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let served = serve_alone().and_then(|()| say(&total("served_by_child", OF_CHILD)));
    loop {
        if served.is_err() {
            // SAFETY: ends the copy without its parent's destructors.
            unsafe { libc::_exit(1) };
        }
        // SAFETY: no arguments.
        unsafe { libc::pause() };
    }
}

/// In a runtime of its own: the threads of the parent's are not here.
fn serve_alone() -> io::Result<()> {
    Builder::new_current_thread().enable_time().build()?.block_on(async {
        for number in 0..OF_CHILD {
            let id = RequestId::try_from(format!("child-{number}")).map_err(io::Error::other)?;
            let serving = tokio::spawn(load::serve(id, 0));
            serving.await.map_err(io::Error::other)?;
        }
        Ok(())
    })
}

/// Begins another program. Comes back only if it cannot.
pub(crate) fn exec(program: &str, arguments: &[&str]) -> io::Error {
    Command::new(program).args(arguments).exec()
}

/// Loads a library.
pub(crate) fn load(library: &str) -> io::Result<()> {
    let name = CString::new(library).map_err(io::Error::other)?;
    // SAFETY: a string; libraries of the C library, which is what tests ask for, have no constructors that mind.
    let loaded = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
    if loaded.is_null() { Err(io::Error::other(format!("{library} cannot be loaded"))) } else { Ok(()) }
}

/// Takes memory until there is none.
pub(crate) fn hog() -> ! {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        // Written to, or it would be promised only.
        taken.push(vec![1; 4 << 20]);
    }
}

/// `struct clone_args`, include/uapi/linux/sched.h.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Goes on as process `pid`, which must be free: a child with that very number does (clone3(2), `set_tid`, which root may), and this process waits for
/// its end and ends with its code. To be called before there is any thread.
pub(crate) fn become_process(pid: u64) -> io::Result<()> {
    let wanted = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let args = CloneArgs {
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        set_tid: &raw const wanted as u64,
        set_tid_size: 1,
        ..CloneArgs::default()
    };
    // SAFETY: as fork(2), in a process of one thread; the structure and what it points to outlive the call.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    if child == 0 {
        // SAFETY: takes a number. The child does not outlive us.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        return Ok(());
    }
    let mut status = 0;
    // SAFETY: writes one integer.
    unsafe { libc::waitpid(wanted, &raw mut status, 0) };
    std::process::exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) })
}
