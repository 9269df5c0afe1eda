//! bpftrace with our probes: the same sites of the same functions, the same scheduler events, and a histogram of the time of polls.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use profiler_daemon::inspect::Role;
use profiler_daemon::session::look_at_process;
use profiler_tests::process::Process;
use profiler_tests::rig::attached::Sight;
use profiler_tests::rig::service::Service;
use profiler_tests::{Failure, Result};

use crate::observer::{Observer, cannot};

/// In which it compiles, attaches, and takes its probes out again one by one.
const LONG: Duration = Duration::from_mins(1);
/// After its clock ticks, which its first probe may do before its last is in.
const STARTS_WITHIN: Duration = Duration::from_millis(150);

/// What becomes bpftrace, of this process id with this script.
const IN_NAMESPACE: &str = r#"mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec bpftrace --unsafe -p "$1" "$2""#;

/// bpftrace.
pub(crate) struct Bpftrace {
    script: PathBuf,
    running: Option<Process>,
}

impl Bpftrace {
    /// Where there is one, and what it takes: with the sites of `service`.
    pub(crate) fn found(service: &Service, folder: &std::path::Path) -> Result<Self> {
        Command::new("bpftrace").arg("--version").output().map_err(|_| cannot("bpftrace is not installed"))?;
        let look = look_at_process(service.pid(), None, &mut |_| ()).map_err(|error| cannot(error.to_string()))?;
        let sites = look.plan.sites.iter().map(|planned| (planned.site.role, planned.site.vaddr));
        let file = folder.join("exact.bt");
        std::fs::write(&file, script(&look.path, sites)).map_err(Failure::io(file.display().to_string()))?;
        Ok(Self { script: file, running: None })
    }
}

/// What is traced: every site of ours, and what our handlers do of it that bpftrace can.
fn script(program: &str, sites: impl Iterator<Item = (Role, u64)>) -> String {
    let mut text = String::from("interval:ms:20 { printf(\"tick\\n\"); }\n");
    for (role, address) in sites {
        let action = match role {
            Role::PollStart => "@begun[tid] = nsecs;",
            Role::PollIdle | Role::PollComplete | Role::PollReturn => {
                "if (@begun[tid]) { @poll_ns = hist(nsecs - @begun[tid]); delete(@begun[tid]); }"
            }
            Role::WakeByVal | Role::WakeByRef | Role::Defer => "@wakes = count();",
            Role::Spawn | Role::SpawnBlocking | Role::LocalScheduled => "@spawns = count();",
            Role::CloneWaker => "@clones = count();",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "uprobe:{program}:{address:#x} {{ {action} }}");
    }
    text.push_str("tracepoint:sched:sched_switch { @switches[args->prev_pid] = count(); }\n");
    text.push_str("tracepoint:sched:sched_wakeup { @woken[args->pid] = count(); }\n");
    text
}

impl Observer for Bpftrace {
    fn begin(&mut self, service: &Service) -> Result<()> {
        // It finds tracepoints in tracefs, which is not mounted everywhere: so in a mount namespace of its own, which nobody else sees.
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", IN_NAMESPACE, "sh"]).arg(service.pid().to_string()).arg(&self.script);
        let mut process = Process::start(&mut command)?;
        let ticked = process.stdout.wait("tick of bpftrace", LONG, |line| (line == "tick").then_some(()));
        if ticked.is_err() {
            // What it says why comes until it has ended.
            let _ = process.end(STARTS_WITHIN * 10);
            return Err(cannot(format!("bpftrace does not start: {}", process.stderr.text().trim().replace('\n', "; "))));
        }
        std::thread::sleep(STARTS_WITHIN);
        self.running = Some(process);
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Sight>> {
        let Some(mut process) = self.running.take() else { return Ok(None) };
        process.signal(libc::SIGINT)?;
        process.wait(LONG)?;
        let text = process.stdout.text();
        if text.contains("@poll_ns") { Ok(None) } else { Err(cannot("bpftrace saw no poll")) }
    }

    fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Process::pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_site_is_probed() {
        let text = script("/x/service", [(Role::PollStart, 0x10), (Role::PollIdle, 0x20), (Role::WakeByRef, 0x30)].into_iter());
        for probe in
            ["uprobe:/x/service:0x10", "uprobe:/x/service:0x20", "uprobe:/x/service:0x30", "sched_switch", "sched_wakeup"]
        {
            assert!(text.contains(probe), "{probe} in {text}");
        }
    }
}
