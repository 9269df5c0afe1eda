//! The target is in a pid and a mount namespace of its own, as in a container: its pid is another there, and its program is a file that exists nowhere
//! else.

use std::process::Command;
use std::time::{Duration, Instant};

use profiler_tests::daemon::Daemon;
use profiler_tests::serial::turn;
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, needs_root};

use crate::said::{MODES, held_by, proc_text, the_next_one_works};

/// The program is copied into a file system that only the namespace has mounted, over the folder that the copy came from.
const SCRIPT: &str =
    "cp \"$0\" /tmp/.victim.$$ && mount -t tmpfs none \"${0%/*}\" && mv /tmp/.victim.$$ \"$0\" && exec \"$0\" \"$@\"";

/// The only child of process `pid`.
fn child_of(pid: u32) -> Result<u32> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let children = proc_text(pid, &format!("task/{pid}/children"))?;
        if let Some(child) = children.split_whitespace().next().and_then(|child| child.parse().ok()) {
            return Ok(child);
        }
        if Instant::now() > deadline {
            return Err(Failure::Wrong(vec![format!("process {pid} has no child")]));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_target_in_namespaces_of_its_own() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start_by(4, |program| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "sh", "-c", SCRIPT]).arg(program);
        command
    })?;
    let inside = child_of(victim.pid())?;
    victim.serves_as(inside);
    assert!(proc_text(inside, "status")?.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1")));
    let link = std::fs::read_link(format!("/proc/{inside}/exe")).map_err(Failure::io("its program"))?;
    let file = std::fs::metadata(format!("/proc/{inside}/exe")).map_err(Failure::io("its program"))?;
    let ours = std::fs::metadata(&link).map(|found| std::os::unix::fs::MetadataExt::dev(&found));
    assert!(!ours.is_ok_and(|device| device == std::os::unix::fs::MetadataExt::dev(&file)), "its program is no file of ours");
    for arguments in MODES {
        let daemon = Daemon::attach(inside, arguments)?;
        let objects = held_by(daemon.pid())?;
        victim.goes_on()?;
        let report = daemon.report()?;
        assert!(report.requests.iter().any(|row| row.id.starts_with("load-0-") && row.polls > 1), "{:?}", report.lost);
        assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
        objects.are_gone()?;
        victim.is_asked_nothing()?;
    }
    the_next_one_works(&mut victim)?;
    victim.end()
}
