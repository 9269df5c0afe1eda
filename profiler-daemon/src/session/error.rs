//! Every way a session can fail; each is one sentence for the user.

use crate::attach::AttachError;
use crate::export::ExportError;
use crate::inspect::InspectError;
use crate::inspect::awaits::KeyError;
use crate::model::{IdError, NothingSelected};
use crate::plan::PlanError;
use crate::target::TargetError;
use crate::target::hardening::{LockedDown, PtraceScope};
use crate::target::kernel::KernelError;
use crate::target::mapped::ModulesError;
use crate::target::privileges::{Capability, PrivilegeError, or_with};
use crate::target::program::ProgramFileError;

/// Why a session could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// We may not profile.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The kernel is too old.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The process cannot be profiled.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The program file cannot be read.
    #[error(transparent)]
    ProgramFile(#[from] ProgramFileError),
    /// The program is not what we can look into.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The program's sites do not suffice.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The kernel refused.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The target ended while it was being attached to.
    #[error("process {pid} ended while the profiler was attaching to it")]
    DiedDuringAttach {
        /// The process.
        pid: u32,
    },
    /// The key of attributes and labels is none.
    #[error("--label-key must have 1 to 64 bytes, and {key:?} has not")]
    LabelKey {
        /// The key.
        key: String,
    },
    /// The target's mappings could not be read.
    #[error(transparent)]
    Modules(#[from] ModulesError),
    /// The annotation has a probe of another version.
    #[error("the program's annotation has a probe `{name}` that this profiler does not know; use a matching profiler-annotate")]
    UnknownAnnotationProbe {
        /// Its name.
        name: String,
    },
    /// The annotation's probe passes an argument elsewhere than in a register.
    #[error("argument {place} of the annotation's probe `{name}` is not in a register; use a matching profiler-annotate")]
    AnnotationArgument {
        /// The probe.
        name: String,
        /// Which argument, from 0.
        place: usize,
    },
    /// A request was asked for in a program without the annotation.
    #[error(
        "the program does not link profiler-annotate, so its requests have no names; name a `tokio::task_local!` key of the program with \
         --request-key, add `profiler_annotate::scope`, or record every task with --all; nor has it an OpenTelemetry thread context or \
         custom-labels, whose ids would do"
    )]
    NoAnnotation,
    /// More rules than the annotation's table holds.
    #[error(
        "{rules} ids, prefixes and trace ids at once are more than the {most} that the program's table of wanted requests holds"
    )]
    TooManyRules {
        /// How many were asked for.
        rules: usize,
        /// How many there may be.
        most: usize,
    },
    /// Another daemon has asked for other requests of the same program.
    #[error("{} measures requests of process {pid} already; end it first, or ask it", other(*daemon))]
    TableTaken {
        /// The target.
        pid: u32,
        /// The other daemon; `None` where it has not written its name yet.
        daemon: Option<u32>,
    },
    /// The target runs another program now.
    #[error("process {pid} began another program (execve) while the profiler was attaching to it")]
    ExecDuringAttach {
        /// The process.
        pid: u32,
    },
    /// The kernel lets nobody measure.
    #[error(transparent)]
    LockedDown(#[from] LockedDown),
    /// The table could not be read or written.
    #[error("the annotation's table in process {pid} cannot be reached through /proc/{pid}/mem: {source}")]
    Table {
        /// The target.
        pid: u32,
        /// Why.
        source: std::io::Error,
    },
    /// The table can be read and not written, and so nothing can be asked for.
    #[error(
        "what is wanted cannot be written into process {pid}, {}{}; without that, --mode process and an id by --request, or --all, write nothing \
         there",
        closed(*.scope),
        or_with(*.lacks)
    )]
    TableClosed {
        /// The target.
        pid: u32,
        /// What Yama says of it, where it is that which is in the way.
        scope: Option<PtraceScope>,
        /// The capability that would do.
        lacks: Option<Capability>,
    },
    /// What was asked for is decided in the program, and nothing there can.
    #[error(
        "this needs request mode: {why}; link profiler-annotate of this version, or ask for requests by their ids with --mode process"
    )]
    NeedsRequestMode {
        /// Why there is none.
        why: &'static str,
    },
    /// What was asked for cannot be told without probes.
    #[error("--mode sample has no probe in the program: {what}")]
    SampleMode {
        /// Why not.
        what: &'static str,
    },
    /// The target's memory does not answer (userfaultfd(2), a file system that hangs).
    #[error("process {pid} did not let its memory be read within {seconds} s")]
    MemoryHangs {
        /// The process.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// Somebody else's snapshot has not come to its end.
    #[error("a snapshot of the tasks is being taken already; try again")]
    SnapshotUnderWay,
    /// The key that is to name requests is none that can.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An id that no value of the key has.
    #[error(transparent)]
    KeyId(#[from] IdError),
    /// A key can only be read where the layouts of futures are known.
    #[error(
        "the key `{wanted}` cannot be read from the program's memory without full debug information: {why} (in Cargo.toml: \
         `[profile.release] debug = \"full\"`)"
    )]
    KeyWithoutLayouts {
        /// What was asked for.
        wanted: String,
        /// Why there are none.
        why: String,
    },
    /// A key can only be read while its task is still the poll's.
    #[error(
        "the key `{wanted}` cannot be read: in this program the end of a poll is only seen after its task was released to other \
         workers, who may change its memory"
    )]
    KeyAfterRelease {
        /// What was asked for.
        wanted: String,
    },
    /// Nothing to show.
    #[error(transparent)]
    Nothing(#[from] NothingSelected),
    /// The result could not be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The daemon's own runtime failed.
    #[error("cannot {what}: {source}")]
    Runtime {
        /// What it was about to do.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// Another daemon, as far as it is known.
fn other(daemon: Option<u32>) -> String {
    daemon.map_or_else(|| "another profiler-daemon".to_owned(), |pid| format!("profiler-daemon {pid}"))
}

/// Why a process' memory is closed.
fn closed(scope: Option<PtraceScope>) -> String {
    match scope {
        None => "which is another user's".to_owned(),
        Some(scope) if scope.is_shut() => {
            "because kernel.yama.ptrace_scope is 3: nobody, not even root, looks into another's memory until the next boot"
                .to_owned()
        }
        Some(scope) => format!("because kernel.yama.ptrace_scope is {}", scope.value()),
    }
}
