//! A program seen through before anything is attached: what is in it, and what can be done with it on this machine.

use std::path::Path;

use super::awaits::{AwaitSight, debug_file};
use super::foreign::{Foreign, ForeignSight};
use super::mode::Mode;
use super::object::{self, Profiled};
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
    /// Of a shared object of a process: the path of the process's program. `None`: it is the program itself, or a file.
    pub object_of: Option<String>,
    /// Other shared objects of that process with a Tokio of their own.
    pub beside: Vec<String>,
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
    let inspection = inspect_with(program.bytes(), || debug().0)?;
    look(program.path().display().to_string(), (program.bytes(), inspection), false, debug, foreign, progress)
}

/// Looks at the program of a process.
pub fn look_at_process(pid: u32, object: Option<&Path>, progress: &mut dyn FnMut(Progress)) -> Result<Look, SessionError> {
    let mut target = Target::open(pid)?.with_object(object.map(Path::to_owned));
    let filtered = target.seccomp()?.filtered > 0;
    let modules = modules_of(pid)?;
    let debug_of = |target: &Target| debug_file(&target.profiled_file(), target.profiled(), modules.root(), &[]);
    let Profiled { program, inspection } = object::find(&mut target, |target| debug_of(target).0)?;
    let foreign = Foreign::of(&target, &program, target.load_bias(&program)?, None)?.sight().clone();
    let path = target.profiled().display().to_string();
    let mut look = look(path, (program.bytes(), inspection), filtered, || debug_of(&target), foreign, progress)?;
    look.object_of = target.is_object().then(|| target.exe().display().to_string());
    look.beside = target.beside_object().iter().map(|path| path.display().to_string()).collect();
    Ok(look)
}

fn look(
    path: String,
    (bytes, inspection): (&[u8], Inspection),
    seccomp: bool,
    debug_file: impl Fn() -> (Option<Vec<u8>>, Vec<String>),
    foreign: ForeignSight,
    progress: &mut dyn FnMut(Progress),
) -> Result<Look, SessionError> {
    let awaits = AwaitSight::of(bytes, debug_file, &inspection, progress);
    let kernel = KernelVersion::running()?;
    let plan = plan(&inspection, &machine(kernel, seccomp), &wanted(&inspection, awaits.source, false, Mode::Process))?;
    let current_task = current_task(bytes, &inspection);
    Ok(Look { path, object_of: None, beside: Vec::new(), inspection, plan, awaits, foreign, current_task })
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
