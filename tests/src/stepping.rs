//! A program, step by step: it is held at each of some system calls, and whoever steps it says what happens then. So a fault can be put between any
//! two steps, and the program has no code for that.
//!
//! A seccomp filter hands the chosen calls to the tracer (`SECCOMP_RET_TRACE`, seccomp(2)) and lets all others run freely; a stop is before the
//! call is made.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};

use libc::{c_int, c_long, pid_t};

use crate::{Failure, Result};

/// The calls at which a profiler touches the kernel's BPF, its target's memory, its events, and its socket.
pub const TOUCHING: &[c_long] = &[
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_ioctl,
    libc::SYS_pwrite64,
    libc::SYS_flock,
    libc::SYS_process_vm_writev,
    libc::SYS_bind,
    libc::SYS_unlink,
];

/// The same, and at which it looks at its target.
pub const LOOKING: &[c_long] = &[
    libc::SYS_bpf,
    libc::SYS_pwrite64,
    libc::SYS_flock,
    libc::SYS_pidfd_open,
    libc::SYS_openat,
    libc::SYS_readlink,
    libc::SYS_pread64,
    libc::SYS_process_vm_readv,
];

/// Where the program is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// From 1 on.
    pub number: usize,
    /// The process.
    pub pid: u32,
    /// The call.
    pub call: c_long,
    /// The call's name, with the command of bpf(2).
    pub name: String,
}

/// What is to happen at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The call is made.
    GoOn,
    /// The program is killed (SIGKILL) before the call.
    Kill,
    /// The call is made, and the program is held no more.
    Release,
}

/// How the program ended.
#[derive(Debug)]
pub struct Stepped {
    /// Its status.
    pub status: ExitStatus,
    /// What it complained about.
    pub stderr: String,
    /// Steps that were taken, by name.
    pub steps: Vec<String>,
}

impl Stepped {
    /// Its exit code; a signal's number, negative, if one killed it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().or(self.status.signal().map(|signal| -signal)).unwrap_or(i32::MIN)
    }
}

/// Runs `command` to its end and asks `at` at each call of `calls`, in a thread of its own: only the thread that starts a program may trace it.
pub fn step(command: Command, calls: &'static [c_long], at: impl FnMut(&Step) -> Then + Send) -> Result<Stepped> {
    std::thread::scope(|scope| {
        let stepping = scope.spawn(|| Tracer::start(command, calls)?.run(at));
        stepping.join().map_err(|_| Failure::Wrong(vec!["the tracer panicked".to_owned()]))?
    })
}

struct Tracer {
    leader: pid_t,
    stderr: std::thread::JoinHandle<String>,
    tracees: BTreeSet<pid_t>,
    steps: Vec<String>,
    held: bool,
}

impl Tracer {
    fn start(mut command: Command, calls: &[c_long]) -> Result<Self> {
        let filter = filter_for(calls);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: two system calls, and memory that was made before the fork.
        unsafe { command.pre_exec(move || trace_me().and_then(|()| install(&filter))) };
        let mut child = command.spawn().map_err(Failure::io(format!("{command:?}")))?;
        let mut stderr = child.stderr.take().ok_or_else(|| Failure::Wrong(vec!["no standard error".to_owned()]))?;
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            // An error on a pipe is its end.
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let leader = pid_t::try_from(child.id()).map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
        let tracer = Self { leader, stderr: reader, tracees: BTreeSet::from([leader]), steps: Vec::new(), held: true };
        // It stands behind its execve.
        let (_, status) = next_of(leader, libc::__WALL)?;
        if !libc::WIFSTOPPED(status) {
            return Err(Failure::Wrong(vec![format!("{command:?} ended before its first instruction: {status:#x}")]));
        }
        let options = libc::PTRACE_O_EXITKILL
            | libc::PTRACE_O_TRACESECCOMP
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK;
        ptrace(libc::PTRACE_SETOPTIONS, leader, i64::from(options))?;
        ptrace(libc::PTRACE_CONT, leader, 0)?;
        Ok(tracer)
    }

    fn run(mut self, mut at: impl FnMut(&Step) -> Then) -> Result<Stepped> {
        let status = loop {
            // Only what this thread has started: other children of this process are others' business.
            let (pid, status) = next_of(-1, libc::__WALL | libc::__WNOTHREAD)?;
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                self.tracees.remove(&pid);
                if pid == self.leader {
                    break status;
                }
                continue;
            }
            self.stopped(pid, status, &mut at);
        };
        let stderr = self.stderr.join().map_err(|_| Failure::Wrong(vec!["the reader panicked".to_owned()]))?;
        Ok(Stepped { status: ExitStatus::from_raw(status), stderr, steps: self.steps })
    }

    fn stopped(&mut self, pid: pid_t, status: c_int, at: &mut impl FnMut(&Step) -> Then) {
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        // A new thread begins with a stop of its own.
        let is_new = self.tracees.insert(pid);
        if event == libc::PTRACE_EVENT_SECCOMP && self.held {
            let Ok((call, first)) = call_of(pid) else {
                // Killed by another meanwhile: its end comes next.
                return;
            };
            let name = name_of(call, first);
            self.steps.push(name.clone());
            let step = Step { number: self.steps.len(), pid: self.leader.unsigned_abs(), call, name };
            match at(&step) {
                Then::GoOn => {}
                Then::Release => self.held = false,
                Then::Kill => {
                    self.held = false;
                    // SAFETY: no memory; a child of ours that nobody has waited for.
                    unsafe { libc::kill(self.leader, libc::SIGKILL) };
                    return;
                }
            }
        }
        let own = event != 0 || signal == libc::SIGTRAP || is_new && signal == libc::SIGSTOP;
        let passed_on = if own { 0 } else { i64::from(signal) };
        // One that was killed meanwhile cannot be continued; its end comes next.
        let _ = ptrace(libc::PTRACE_CONT, pid, passed_on);
    }
}

/// The next that happens to `pid`, -1 for any.
fn next_of(pid: pid_t, flags: c_int) -> Result<(pid_t, c_int)> {
    let mut status = 0;
    // SAFETY: writes one integer.
    let found = unsafe { libc::waitpid(pid, &raw mut status, flags) };
    if found > 0 {
        return Ok((found, status));
    }
    Err(Failure::Io { what: "waiting for a stepped program".to_owned(), source: std::io::Error::last_os_error() })
}

fn ptrace(request: libc::c_uint, pid: pid_t, data: i64) -> Result<()> {
    // SAFETY: these requests take a number, and no memory of ours.
    if unsafe { libc::ptrace(request, pid, 0_i64, data) } == 0 {
        return Ok(());
    }
    Err(Failure::Io { what: format!("ptrace request {request}"), source: std::io::Error::last_os_error() })
}

/// The call that thread `pid` is about to make, and its first argument.
fn call_of(pid: pid_t) -> Result<(c_long, u64)> {
    // SAFETY: a structure of integers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: writes one such structure.
    if unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers) } != 0 {
        return Err(Failure::Io { what: "reading registers".to_owned(), source: std::io::Error::last_os_error() });
    }
    Ok((registers.orig_rax.cast_signed(), registers.rdi))
}

fn name_of(call: c_long, first: u64) -> String {
    /// Commands of bpf(2) that a profiler gives (`enum bpf_cmd`).
    const COMMANDS: [(u64, &str); 9] = [
        (0, "map create"),
        (1, "map lookup"),
        (2, "map update"),
        (3, "map delete"),
        (5, "program load"),
        (15, "object info"),
        (18, "types load"),
        (24, "map batch lookup"),
        (28, "link create"),
    ];
    let plain = match call {
        libc::SYS_bpf => {
            let command = COMMANDS.iter().find(|(number, _)| *number == first);
            return command.map_or_else(|| format!("bpf {first}"), |(_, name)| format!("bpf {name}"));
        }
        libc::SYS_perf_event_open => "perf_event_open",
        libc::SYS_ioctl => "ioctl",
        libc::SYS_pwrite64 => "pwrite",
        libc::SYS_pread64 => "pread",
        libc::SYS_flock => "flock",
        libc::SYS_bind => "bind",
        libc::SYS_unlink => "unlink",
        libc::SYS_openat => "openat",
        libc::SYS_readlink => "readlink",
        libc::SYS_pidfd_open => "pidfd_open",
        libc::SYS_process_vm_readv => "process_vm_readv",
        libc::SYS_process_vm_writev => "process_vm_writev",
        _ => return format!("call {call}"),
    };
    plain.to_owned()
}

/// A classic BPF program: the call's number is compared with each of `calls`.
fn filter_for(calls: &[c_long]) -> Vec<libc::sock_filter> {
    /// Place of the number in `struct seccomp_data`.
    const NUMBER: u32 = 0;
    let instruction = |code: u32, jt: u8, k: u32| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf: 0, k };
    let mut filter = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, NUMBER)];
    for (place, call) in (0..).zip(calls) {
        // On equality to the last instruction: over the other comparisons and the one that allows.
        let further = u8::try_from(calls.len() - place).unwrap_or(u8::MAX);
        filter.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, further, u32::try_from(*call).unwrap_or(u32::MAX)));
    }
    filter.push(instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_TRACE));
    filter
}

/// Lets the parent trace the calling process.
fn trace_me() -> std::io::Result<()> {
    // SAFETY: takes numbers.
    if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Puts the calling process under the filter. Root may, without giving up anything for it.
fn install(filter: &[libc::sock_filter]) -> std::io::Result<()> {
    let program = libc::sock_fprog { len: u16::try_from(filter.len()).unwrap_or(0), filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program, which lives until then.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) } == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error())
}
