//! Against real processes.

use std::{
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::*;

/// A process of our own that does nothing, ended when dropped.
struct Sleeper(Child);

impl Sleeper {
    /// `spawn` returns while the kernel still maps the new program; asleep, the child has it all.
    fn start(program: &Path) -> Self {
        let child = Command::new(program).arg("1000").stdin(Stdio::null()).spawn().unwrap();
        wait_asleep(child.id());
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_asleep(pid: u32) {
    let asleep = |stat: String| stat.contains(") S ");
    while !std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(asleep) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

const SLEEP: &str = "/bin/sleep";

#[test]
fn a_process_is_opened_and_read() {
    let sleeper = Sleeper::start(Path::new(SLEEP));
    let target = Target::open(sleeper.pid()).unwrap();
    assert_eq!((target.pid(), target.comm()), (sleeper.pid(), "sleep"));
    assert!(!target.has_exited() && !target.exe_was_replaced());
    let program = target.program().unwrap();
    assert_eq!(program.bytes(), std::fs::read(SLEEP).unwrap());
    let modules = target.modules().unwrap();
    assert_eq!(modules[0].path, target.exe());
    let seccomp = target.seccomp().unwrap();
    // It inherits this thread's filter, if the tests run under one (a container).
    let own = Status::of(Path::new("/proc/thread-self"), 0).unwrap();
    assert_eq!((seccomp.threads, seccomp.filtered), (1, usize::from(own.seccomp == Some(2))));
}

/// The child writes nothing: its entry address is read from its auxiliary vector.
#[test]
fn the_bias_agrees_with_the_auxiliary_vector() {
    let sleeper = Sleeper::start(Path::new(SLEEP));
    let target = Target::open(sleeper.pid()).unwrap();
    let program = target.program().unwrap();
    let entry = u64::from_le_bytes(program.bytes()[24..32].try_into().unwrap());
    let vector = std::fs::read(target.proc_path("auxv")).unwrap();
    let words: Vec<u64> = vector.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    let told = words.chunks_exact(2).find(|pair| pair[0] == libc::AT_ENTRY).unwrap()[1];
    assert_eq!(target.load_bias(&program).unwrap(), told - entry);
}

#[test]
fn a_deleted_program_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my sleep");
    std::fs::copy(SLEEP, &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let sleeper = Sleeper::start(&path);
    // Replaced as a deployment does it: the new file under the old name.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "#!/bin/false").unwrap();
    let target = Target::open(sleeper.pid()).unwrap();
    assert!(target.exe_was_replaced());
    assert_eq!(target.exe(), path);
    let program = target.program().unwrap();
    assert_eq!(program.bytes(), std::fs::read(SLEEP).unwrap());
    assert!(target.load_bias(&program).is_ok());
    assert_eq!(target.modules().unwrap()[0].path, path);
}

#[test]
fn build_ids_come_from_the_mapped_files() {
    let sleeper = Sleeper::start(Path::new(SLEEP));
    let target = Target::open(sleeper.pid()).unwrap();
    let modules = target.modules().unwrap();
    match target.build_id(&modules[0]) {
        Ok(id) => assert_eq!(id.as_deref(), target.program().unwrap().build_id()),
        Err(error @ TargetError::NoAccess { .. }) => {
            eprintln!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    }
    let libc = modules.iter().find(|module| module.path.to_string_lossy().contains("libc")).unwrap();
    assert!(target.build_id(libc).unwrap().is_some_and(|id| id.len() >= 8));
}

/// As in a container: the program's path means nothing to us.
#[test]
fn a_program_that_only_its_own_mounts_have() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs none \"$0\" && cp /bin/sleep \"$0/inside\" && exec \"$0/inside\" 1000";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(folder.path());
    let Ok(child) = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn() else {
        eprintln!("skipped: unshare (util-linux) is not installed");
        return;
    };
    let mut sleeper = Sleeper(child);
    let exe = PathBuf::from(format!("/proc/{}/exe", sleeper.pid()));
    let inside = folder.path().join("inside");
    while !std::fs::read_link(&exe).is_ok_and(|link| link == inside) {
        if sleeper.0.try_wait().unwrap().is_some() {
            eprintln!("skipped: may not mount");
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    wait_asleep(sleeper.pid());
    assert!(!inside.exists());
    let target = Target::open(sleeper.pid()).unwrap();
    assert!(!target.exe_was_replaced());
    let program = target.program().unwrap();
    assert_eq!(program.bytes(), std::fs::read(SLEEP).unwrap());
    assert!(target.load_bias(&program).is_ok());
    assert_eq!(target.modules().unwrap()[0].path, inside);
}

#[test]
fn no_such_process() {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    child.wait().unwrap();
    let error = Target::open(child.id()).unwrap_err();
    assert!(matches!(error, TargetError::NoSuchProcess { .. }), "{error}");
    assert_eq!(error.to_string(), format!("there is no process {}", child.id()));
    assert!(matches!(Target::open(4_194_304), Err(TargetError::NoSuchProcess { .. })));
}

#[test]
fn a_zombie() {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let pidfd = Pidfd::open(child.id()).unwrap();
    while !pidfd.has_exited() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let error = Target::open(child.id()).unwrap_err();
    assert!(matches!(error, TargetError::Zombie { .. }), "{error}");
    child.wait().unwrap();
}

#[test]
fn a_kernel_thread() {
    if !std::fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm.trim() == "kthreadd") {
        eprintln!("skipped: pid 2 is not kthreadd here (a pid namespace)");
        return;
    }
    let error = Target::open(2).unwrap_err();
    assert_eq!(error.to_string(), "process 2 (kthreadd) is a kernel thread, which runs no program");
}

#[test]
fn ourselves_and_a_thread_of_ours() {
    let own = std::process::id();
    assert!(matches!(Target::open(own), Err(TargetError::Itself { .. })));
    // The test harness runs each test in a thread that is not the process' first.
    // SAFETY: gettid takes nothing and cannot fail.
    let tid = u32::try_from(unsafe { libc::gettid() }).unwrap();
    assert_ne!(tid, own);
    let error = Target::open(tid).unwrap_err();
    assert_eq!(error.to_string(), format!("{tid} is a thread of process {own}: say --pid {own}"));
}

#[test]
fn reads_fail_after_the_end_and_tell_no_other_process() {
    let sleeper = Sleeper::start(Path::new(SLEEP));
    let target = Target::open(sleeper.pid()).unwrap();
    drop(sleeper);
    assert!(target.has_exited());
    assert!(matches!(target.mappings(), Err(TargetError::Exited { .. })));
    assert!(matches!(target.program(), Err(TargetError::Exited { .. })));
    assert!(matches!(target.seccomp(), Err(TargetError::Exited { .. })));
}

#[tokio::test]
async fn the_end_is_awaited() {
    let mut sleeper = Sleeper::start(Path::new(SLEEP));
    let target = Target::open(sleeper.pid()).unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), target.exited()).await;
    assert!(early.is_err(), "it has not ended");
    sleeper.0.kill().unwrap();
    tokio::time::timeout(Duration::from_secs(10), target.exited()).await.unwrap().unwrap();
    // And again, after the end.
    tokio::time::timeout(Duration::from_secs(10), target.exited()).await.unwrap().unwrap();
}

/// Runs `test` in a thread that has given up root; the raw system call changes this one thread only.
fn as_nobody<T: Send>(test: impl FnOnce() -> T + Send) -> Option<T> {
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: needs root, to give it up");
        return None;
    }
    let run = || {
        // SAFETY: the system call takes three integers and touches no memory.
        let returned = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(returned, 0);
        test()
    };
    Some(std::thread::scope(|scope| scope.spawn(run).join().unwrap()))
}

#[test]
fn anothers_process_needs_privileges() {
    let sleeper = Sleeper::start(Path::new(SLEEP));
    let pid = sleeper.pid();
    let Some(error) = as_nobody(|| Target::open(pid).unwrap_err()) else {
        return;
    };
    assert!(matches!(error, TargetError::NoAccess { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot read /proc/{pid}/exe: run as root (sudo), or with CAP_SYS_PTRACE"));
}

#[test]
fn nobody_may_not_profile() {
    let Some(checked) = as_nobody(|| Privileges::read().unwrap().check()) else {
        return;
    };
    assert_eq!(checked.unwrap_err().to_string(), "profiling needs root (sudo), or CAP_BPF and CAP_PERFMON");
}

/// Under a filter that allows everything, put on one thread only: the thread is counted, the process' first is not under it.
#[test]
fn a_filter_on_one_thread_is_seen() {
    let before = seccomp::of_threads(Path::new("/proc/self/task")).unwrap();
    if before.any() {
        eprintln!("skipped: every thread here is under seccomp already");
        return;
    }
    let filtered = std::thread::spawn(|| {
        allow_everything();
        seccomp::of_threads(Path::new("/proc/self/task")).unwrap()
    });
    let with = filtered.join().unwrap();
    assert_eq!((before.filtered, with.filtered, with.strict), (0, 1, 0));
    assert!(with.any() && with.threads >= 2);
}

fn allow_everything() {
    // BPF_RET | BPF_K, SECCOMP_RET_ALLOW
    let mut allow = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: &raw mut allow };
    // SAFETY: takes integers only.
    let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(promised, 0);
    // SAFETY: the pointer is to a program of one instruction, both outlive the call.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(set, 0);
}
