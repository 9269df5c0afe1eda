//! Every way an attach can fail.

use std::io;

/// Why the probes could not be put in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The object named by the override could not be read.
    #[error("cannot read the kernel object {path}: {source}")]
    Object {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// We are in a pid namespace of our own.
    #[error(
        "the profiler runs in a pid namespace of its own; run it on the host, or in a container with the host's pid namespace"
    )]
    PidNamespace,
    /// The sampling clock could not be made or set.
    #[error("cannot set the sampling clock (perf_event_open, ioctl)")]
    SamplingClock(#[source] io::Error),
    /// The kernel did not count runs of programs.
    #[error("the kernel does not count runs of programs (BPF_ENABLE_STATS, BPF_PROG_TEST_RUN): {0}")]
    RunStatistics(#[source] io::Error),
    /// The kernel refused the object's own type information.
    #[error("the kernel refuses the kernel side's type information (BPF_BTF_LOAD): {0}")]
    ObjectTypes(#[source] io::Error),
    /// Our pid namespace could not be told.
    #[error("cannot read /proc/self/ns/pid: {0}")]
    PidNamespaceUnknown(#[source] io::Error),
    /// The object was refused before or while its maps were made.
    #[error("cannot load the kernel side: {0}")]
    Load(#[source] aya::EbpfError),
    /// The object could not be parsed for the programs that we load ourselves.
    #[error("cannot parse the kernel object: {0}")]
    Parse(String),
    /// The running kernel describes no types.
    #[error("cannot read the running kernel's types in /sys/kernel/btf/vmlinux: {0}")]
    KernelTypes(#[source] aya_obj::btf::BtfError),
    /// The running kernel's types could not be read.
    #[error("cannot read /sys/kernel/btf/vmlinux: {0}")]
    KernelTypesFile(#[source] io::Error),
    /// A field that the kernel side needs is not in the running kernel's types.
    #[error("the running kernel's types name no `{field}` in `{structure}`")]
    NoKernelField {
        /// The structure.
        structure: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The object has no such map.
    #[error("the kernel object has no map `{map}`")]
    NoMap {
        /// Its name.
        map: &'static str,
    },
    /// A map could not be read or written.
    #[error("map `{map}`: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        source: aya::maps::MapError,
    },
    /// A map's keys could not be read.
    #[error("map `{map}`: BPF_MAP_LOOKUP_BATCH: {source}")]
    Keys {
        /// The map's name.
        map: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Chunks of unwind rows could not be put where the kernel side finds them.
    #[error("map `UNWIND_CHUNKS`: BPF_MAP_UPDATE_BATCH: {0}")]
    UnwindChunks(io::Error),
    /// The object has no such program.
    #[error("the kernel object has no program `{program}`")]
    NoProgram {
        /// Its name.
        program: &'static str,
    },
    /// A program was refused by aya or the kernel.
    #[error("program `{program}`: {source}")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why.
        source: aya::programs::ProgramError,
    },
    /// A program that we load ourselves was refused by the kernel.
    #[error("the kernel refused program `{program}`: {source}\n{log}")]
    Verifier {
        /// Its name.
        program: &'static str,
        /// What bpf(2) said.
        source: io::Error,
        /// The end of the verifier's log.
        log: String,
    },
    /// A link could not be made.
    #[error("cannot attach `{program}` at {sites} probe sites: {call}: {source}")]
    Link {
        /// The program.
        program: &'static str,
        /// How many sites the call was for.
        sites: usize,
        /// The system call.
        call: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// Others have probes at the same place of the same file, with another semaphore or with none.
    #[error(
        "another profiler probes the requests of this program, in this process or in another one, in another mode: the kernel has one semaphore for \
         a place of a file; end that one first, or measure in its mode (--mode)"
    )]
    OtherMode {
        /// The program.
        program: &'static str,
    },
    /// A sampling event could not be opened.
    #[error("cannot open the sampling clock of CPU {cpu}: {source}")]
    Sampling {
        /// The CPU.
        cpu: u32,
        /// What perf_event_open(2) said.
        source: io::Error,
    },
    /// The list of CPUs could not be read.
    #[error("cannot read {path}: {source}")]
    Cpus {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A request id longer than the kernel side keeps.
    #[error("a request id has {bytes} bytes; 64 are the most")]
    RequestIdTooLong {
        /// Its length.
        bytes: usize,
    },
}
