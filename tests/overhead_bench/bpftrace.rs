//! bpftrace with our probes: the same functions, the same scheduler events, and a histogram of the time of polls.

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

/// A site of ours, and the function that it stands in.
struct Planned {
    role: Role,
    vaddr: u64,
    function: u64,
}

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
        let planned = look.plan.sites.iter().map(|planned| &planned.site);
        let sites: Vec<Planned> =
            planned.map(|site| Planned { role: site.role, vaddr: site.vaddr, function: site.function }).collect();
        let file = folder.join("exact.bt");
        std::fs::write(&file, script(&look.path, &sites)).map_err(Failure::io(file.display().to_string()))?;
        Ok(Self { script: file, running: None })
    }
}

/// What is traced: what our handlers do of an event, as far as bpftrace can.
///
/// It takes no probe inside of a function where it was built without libbfd, as Debian's is ("compiled without (k|u)probe offset support"), and
/// `--unsafe` does not change that. Where a site of ours is inside of one, its entry is probed; of an end of polls, the return from the poll
/// functions is, as its users do it. Stored wakers are for await stacks, of which it knows nothing.
fn script(program: &str, sites: &[Planned]) -> String {
    let mut text = String::from("interval:ms:20 { printf(\"tick\\n\"); }\n");
    let ends = |role| matches!(role, Role::PollIdle | Role::PollComplete | Role::PollReturn);
    let by_return = sites.iter().any(|site| ends(site.role) && site.vaddr != site.function);
    let end = "if (@begun[tid]) { @poll_ns = hist(nsecs - @begun[tid]); delete(@begun[tid]); }";
    for Planned { role, function, .. } in sites {
        let action = match role {
            Role::PollStart => "@begun[tid] = nsecs;",
            Role::PollIdle | Role::PollComplete | Role::PollReturn if by_return => continue,
            Role::PollIdle | Role::PollComplete | Role::PollReturn => end,
            Role::WakeByVal | Role::WakeByRef | Role::Defer => "@wakes = count();",
            Role::Spawn | Role::SpawnBlocking | Role::LocalScheduled => "@spawns = count();",
            Role::CloneWaker => continue,
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "uprobe:{program}:{function:#x} {{ {action} }}");
        if *role == Role::PollStart && by_return {
            // By the entry: inside of the function the return address is no longer on top of the stack.
            let _ = writeln!(text, "uretprobe:{program}:{function:#x} {{ {end} }}");
        }
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
            let why = process.stderr.to_end(STARTS_WITHIN).unwrap_or_else(|failure| failure.to_string());
            return Err(cannot(format!("bpftrace does not start: {}", why.trim().replace('\n', "; "))));
        }
        std::thread::sleep(STARTS_WITHIN);
        self.running = Some(process);
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Sight>> {
        let Some(mut process) = self.running.take() else { return Ok(None) };
        process.signal(libc::SIGINT)?;
        process.wait(LONG)?;
        // What it has counted comes at its end.
        let text = process.stdout.to_end(LONG)?;
        if text.contains("@poll_ns") {
            return Ok(None);
        }
        let counted =
            text.lines().filter(|line| line.starts_with('@') && !line.starts_with("@switches") && !line.starts_with("@woken"));
        let complaints = process.stderr.to_end(LONG)?;
        let told = counted.chain(complaints.lines().map(str::trim)).take(8).collect::<Vec<_>>().join("; ");
        Err(cannot(format!("bpftrace saw no poll: {told}")))
    }

    fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Process::pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(role: Role, vaddr: u64, function: u64) -> Planned {
        Planned { role, vaddr, function }
    }

    #[test]
    fn every_site_is_probed() {
        let sites =
            [planned(Role::PollStart, 0x10, 0x10), planned(Role::PollIdle, 0x20, 0x20), planned(Role::WakeByRef, 0x36, 0x30)];
        let text = script("/x/service", &sites);
        for probe in
            ["uprobe:/x/service:0x10", "uprobe:/x/service:0x20", "uprobe:/x/service:0x30", "sched_switch", "sched_wakeup"]
        {
            assert!(text.contains(probe), "{probe} in {text}");
        }
        assert!(!text.contains("uretprobe"), "{text}");
    }

    #[test]
    fn an_end_inside_of_a_function_is_seen_by_the_return() {
        let text = script("/x/service", &[planned(Role::PollStart, 0x14, 0x10), planned(Role::PollIdle, 0x26, 0x20)]);
        assert!(text.contains("\nuprobe:/x/service:0x10 {") && text.contains("\nuretprobe:/x/service:0x10 {"), "{text}");
        assert!(!text.contains(":0x14") && !text.contains(":0x2"), "{text}");
    }
}
