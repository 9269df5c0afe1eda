//! Perf events: the sampling clock, and uprobes where the kernel has no multi links.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::Path;

use aya::Ebpf;
use aya::programs::PerfEvent;
use aya::programs::perf_event::{PerfEventConfig, PerfEventLinkId, PerfEventScope, SamplePolicy, SoftwareEvent};
use aya_obj::generated::perf_event_attr;

use super::{AttachError, Probe, machine, sys};

/// The fastest sampling that is allowed (Hz on each CPU).
pub const MAX_RATE_HZ: u32 = 4000;

/// The sampling clock of one CPU; it stops when dropped.
pub(super) type Sampler = aya::programs::perf_event::PerfEventLink;

const PROGRAM: &str = "sample_tick";

/// Starts the sampling clock on every CPU. The program itself passes over every thread but the target's: an event a thread would miss
/// threads that start later.
pub(super) fn sample_every_cpu(ebpf: &mut Ebpf, rate_hz: u32) -> Result<Vec<Sampler>, AttachError> {
    let cpus = machine::online_cpus()?;
    let program = ebpf.program_mut(PROGRAM).ok_or(AttachError::NoProgram { program: PROGRAM })?;
    let failed = |source| AttachError::Program { program: PROGRAM, source };
    let program: &mut PerfEvent = program.try_into().map_err(failed)?;
    program.load().map_err(failed)?;
    let period_ns = 1_000_000_000 / u64::from(rate_hz.clamp(1, MAX_RATE_HZ));
    cpus.into_iter()
        .map(|cpu| {
            // A period of the CPU clock is in nanoseconds; a frequency would be adjusted by the kernel, which makes weights drift.
            let link: PerfEventLinkId = program
                .attach(
                    PerfEventConfig::Software(SoftwareEvent::CpuClock),
                    PerfEventScope::AllProcessesOneCpu { cpu },
                    SamplePolicy::Period(period_ns),
                    false,
                )
                .map_err(failed)?;
            program.take_link(link).map_err(failed)
        })
        .collect()
}

/// Where the kernel says which perf event type uprobes are.
const UPROBE_TYPE: &str = "/sys/bus/event_source/devices/uprobe/type";
/// Bit of `config` that asks for the function's return (`format/retprobe`: `config:0`).
const RETURN_BIT: u64 = 1;
/// Place of the semaphore's offset in `config` (`format/ref_ctr_offset`: `config:32-63`).
const SEMAPHORE_SHIFT: u32 = 32;

/// `PERF_FLAG_FD_CLOEXEC`, include/uapi/linux/perf_event.h.
const FD_CLOEXEC: libc::c_ulong = 1 << 3;

/// Opens the perf event of one uprobe in process `pid`.
pub(super) fn open_uprobe(exe: &Path, pid: u32, probe: &Probe) -> io::Result<OwnedFd> {
    let kind = std::fs::read_to_string(UPROBE_TYPE)?;
    let kind: u32 = kind.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let path = sys::c_path(exe)?;
    // SAFETY: a structure of integers.
    let mut attr: perf_event_attr = unsafe { zeroed() };
    attr.type_ = kind;
    attr.size = u32::try_from(size_of::<perf_event_attr>()).unwrap_or(0);
    attr.config = (u64::from(probe.on_return) * RETURN_BIT) | (probe.semaphore << SEMAPHORE_SHIFT);
    attr.__bindgen_anon_3.config1 = path.as_ptr() as u64;
    attr.__bindgen_anon_4.config2 = probe.offset;
    // SAFETY: the attribute and the path outlive the call. Any CPU, no group, close on exec.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw mut attr, pid, -1, -1, FD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
