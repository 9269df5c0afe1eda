//! A program seen through before anything is attached: what is in it, and what can be done with it on this machine.

use std::path::Path;

use super::awaits::{AwaitSight, debug_file};
use super::foreign::{Foreign, ForeignSight};
use super::mode::Mode;
use super::{SessionError, modules_of};
use crate::attach::{self, UprobeMulti};
use crate::inspect::awaits::Progress;
use crate::inspect::{CurrentTask, CurrentTaskError, Inspection, current_task, inspect_with};
use crate::model::AwaitSource;
use crate::plan::{Machine, MultiSupport, Plan, Wanted, plan};
use crate::target::Target;
use crate::target::kernel::KernelVersion;
use crate::target::program::Program;

/// A program seen through: what is in it and what can be done with it here.
#[derive(Debug)]
pub struct Look {
    /// The program's path, for people.
    pub path: String,
    /// What is in it.
    pub inspection: Inspection,
    /// What can be probed on this machine.
    pub plan: Plan,
    /// Where its futures can be seen to wait.
    pub awaits: AwaitSight,
    /// Thread-locals of other libraries that name requests.
    pub foreign: ForeignSight,
    /// Where a thread keeps the id of the task that it polls, or why that is not known.
    pub current_task: Result<CurrentTask, CurrentTaskError>,
}

/// Looks at a program file, as if it were to be profiled on this machine outside any confinement.
pub fn look_at_file(path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Look, SessionError> {
    let program = Program::open(path)?;
    let debug = || debug_file(path, program.path(), None, &[]);
    let foreign = ForeignSight::of_file(&program);
    look(program.path().display().to_string(), program.bytes(), false, debug, foreign, progress)
}

/// Looks at the program of a process.
pub fn look_at_process(pid: u32, progress: &mut dyn FnMut(Progress)) -> Result<Look, SessionError> {
    let target = Target::open(pid)?;
    let program = target.program()?;
    let filtered = target.seccomp()?.filtered > 0;
    let modules = modules_of(pid)?;
    let debug = || debug_file(&target.proc_path("exe"), target.exe(), modules.root(), &[]);
    let foreign = Foreign::of(&target, &program, target.load_bias(&program)?, None)?.sight().clone();
    look(target.exe().display().to_string(), program.bytes(), filtered, debug, foreign, progress)
}

fn look(
    path: String,
    bytes: &[u8],
    seccomp: bool,
    debug_file: impl Fn() -> (Option<Vec<u8>>, Vec<String>),
    foreign: ForeignSight,
    progress: &mut dyn FnMut(Progress),
) -> Result<Look, SessionError> {
    let inspection = inspect_with(bytes, || debug_file().0)?;
    let awaits = AwaitSight::of(bytes, debug_file, &inspection, progress);
    let kernel = KernelVersion::running()?;
    let plan = plan(&inspection, &machine(kernel, seccomp), &wanted(&inspection, awaits.source, false, Mode::Process))?;
    let current_task = current_task(bytes, &inspection);
    Ok(Look { path, inspection, plan, awaits, foreign, current_task })
}

pub(super) fn machine(kernel: KernelVersion, seccomp: bool) -> Machine {
    let kernel = (kernel.major, kernel.minor);
    Machine {
        kernel,
        uprobe_multi: match attach::uprobe_multi() {
            UprobeMulti::Works => MultiSupport::Yes,
            UprobeMulti::OneThreadOnly => MultiSupport::BrokenPidFilter,
            UprobeMulti::Missing => MultiSupport::No,
        },
        uretprobe_safe: attach::return_probe_is_safe(kernel, seccomp),
        virtual_machine: attach::is_virtual_machine(),
    }
}

pub(super) fn wanted(inspection: &Inspection, source: AwaitSource, by_key: bool, mode: Mode) -> Wanted {
    let tasks = mode == Mode::Process;
    let wakers = tasks && source == AwaitSource::Wakers;
    let times = mode == Mode::Times;
    Wanted {
        tasks,
        scopes: !by_key && mode != Mode::Sample && inspection.is_annotated(),
        wakes: tasks,
        spawns: tasks,
        wakers,
        times,
    }
}
