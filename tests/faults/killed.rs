//! The profiler is killed at every step: before each call by which it touches the kernel or its target, from the first to the last, on its way in and
//! on its way out. SIGKILL asks nobody, so all that helps is that everything hangs on descriptors.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use profiler_tests::daemon::Daemon;
use profiler_tests::kernel_objects::KernelObjects;
use profiler_tests::serial::turn;
use profiler_tests::stepping::{Stepped, TOUCHING, Then, step};
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, binaries, needs_root};

use crate::said::{EVERY_POLL, OWN_TIMES, SOME_REQUESTS, the_next_one_works};

/// The variable that asks for every single step.
const ALL_VARIABLE: &str = "PROFILER_FAULTS_ALL";
/// Steps that are tried else, beside those that are always.
const TRIED: usize = 10;

/// `count` numbers from 1 to `last`, as evenly as can be, both ends among them.
pub(crate) fn spread(last: usize, count: usize) -> BTreeSet<usize> {
    let count = count.min(last).max(1);
    (0..count).map(|place| 1 + place * (last - 1) / (count - 1).max(1)).collect()
}

/// Where the steps of one run are worth being killed at: the first and the last of every stretch of equal calls but map updates, of which there are
/// hundreds; every write into the target; and some of all, evenly.
fn worth_trying(steps: &[String]) -> BTreeSet<usize> {
    let all = 1..=steps.len();
    if std::env::var_os(ALL_VARIABLE).is_some() {
        return all.collect();
    }
    let mut tried = spread(steps.len(), TRIED);
    let mut seen = BTreeSet::new();
    for (number, name) in (1..).zip(steps) {
        // The first of each kind, and around each write into the target or its lock.
        if seen.insert(name) || matches!(name.as_str(), "pwrite" | "flock") {
            tried.insert(number);
        }
    }
    // Links: in the middle of the probes, and behind the last.
    let links: Vec<usize> = (1..).zip(steps).filter(|(_, name)| *name == "bpf link create").map(|(number, _)| number).collect();
    tried.extend(links.iter().step_by(5));
    tried.extend(links.last().map(|last| last + 1).filter(|next| *next <= steps.len()));
    tried
}

fn run(victim: &Victim, socket: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binaries::profiler()?);
    command.args(["run", "--pid", &victim.pid().to_string(), "--socket"]).arg(socket).args(arguments);
    Ok(command)
}

/// Steps through a whole life: it is asked to stop as soon as it listens, and does so once it has attached. What it held when it was killed is given
/// back.
fn live(victim: &Victim, socket: &Path, arguments: &[&str], kill_at: usize) -> Result<(Stepped, KernelObjects)> {
    let mut held = KernelObjects::default();
    let over = AtomicBool::new(false);
    let stepped = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) && !was_stopped(socket) {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let stepped = step(run(victim, socket, arguments)?, TOUCHING, |step| {
            if step.number != kill_at {
                return Then::GoOn;
            }
            held = KernelObjects::of_process(step.pid).unwrap_or_default();
            Then::Kill
        });
        over.store(true, Relaxed);
        stepped
    })?;
    Ok((stepped, held))
}

/// Asks who listens to stop. It answers when it has attached; a dead one's socket has nobody.
fn was_stopped(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    if stream.write_all(b"{\"v\":1,\"cmd\":\"stop\"}\n").is_err() {
        return false;
    }
    // Its answer, or its end.
    let _ = stream.read_to_end(&mut Vec::new());
    true
}

fn walk(arguments: &[&str]) -> Result<()> {
    let mut victim = Victim::start(2)?;
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let socket = folder.path().join("control.sock");
    let (whole, _) = live(&victim, &socket, arguments, usize::MAX)?;
    assert_eq!(whole.code(), 0, "{}", whole.stderr);
    victim.is_asked_nothing()?;
    let tried = worth_trying(&whole.steps);
    eprintln!("{arguments:?}: {} steps, killed at {} of them", whole.steps.len(), tried.len());
    let (mut killed, mut with_objects) = (0, 0);
    for number in tried {
        let name = whole.steps.get(number - 1).map_or("", String::as_str);
        let context = |failure: Failure| Failure::Wrong(vec![format!("killed at step {number} ({name}): {failure}")]);
        let (ended, held) = live(&victim, &socket, arguments, number)?;
        // Of two runs one may have a step less, by which thread was first.
        killed += usize::from(ended.code() == -libc::SIGKILL);
        with_objects += usize::from(!held.is_empty());
        held.are_gone().map_err(context)?;
        victim.is_clean().map_err(context)?;
        victim.goes_on().map_err(context)?;
    }
    assert!(killed > TRIED && with_objects > TRIED / 2, "{killed} were killed, {with_objects} of them held something");
    // A socket that a killed one left is taken over, and what it asked for in the table is taken out.
    let daemon = Daemon::attach_at(victim.pid(), &socket, arguments)?;
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    assert!(!socket.exists());
    the_next_one_works(&mut victim)?;
    victim.end()
}

#[test]
fn at_every_step_with_probes_on_every_poll() -> Result<()> {
    needs_root!();
    let _turn = turn();
    walk(EVERY_POLL)
}

#[test]
fn at_every_step_with_rules_in_the_table() -> Result<()> {
    needs_root!();
    let _turn = turn();
    walk(SOME_REQUESTS)
}

#[test]
fn at_every_step_with_requests_that_keep_their_times() -> Result<()> {
    needs_root!();
    let _turn = turn();
    walk(OWN_TIMES)
}
