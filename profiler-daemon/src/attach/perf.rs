//! Perf events: the sampling clock, and uprobes where the kernel has no multi links.

use std::collections::BTreeSet;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::programs::PerfEvent;
use aya_obj::generated::perf_event_attr;

use super::{AttachError, Probe, cpus, machine, sys};

/// The fastest sampling that is allowed (Hz on each CPU).
pub const MAX_RATE_HZ: u32 = 4000;

/// How often the sampling clock ticks on each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// While there is little to be seen.
    pub slow_hz: u32,
    /// While something is to be seen that was asked for.
    pub fast_hz: u32,
}

impl Rate {
    /// Time between two ticks (ns); at rest that of the slow clock, which is what it begins with.
    #[must_use]
    pub fn period_ns(self, pace: Pace) -> u64 {
        let hz = if pace == Pace::Fast { self.fast_hz } else { self.slow_hz };
        1_000_000_000 / u64::from(hz.clamp(1, MAX_RATE_HZ))
    }
}

/// How the clock goes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Not at all: a tick costs whoever runs.
    Rest,
    /// At [`Rate::slow_hz`].
    Slow,
    /// At [`Rate::fast_hz`].
    Fast,
}

/// The sampling clock of every CPU; it stops when dropped. It ticks where the target may run.
#[derive(Debug)]
pub(super) struct Samplers {
    clocks: Vec<Clock>,
    rate: Rate,
    pace: Pace,
    pid: u32,
    /// Where the target might run when that was last looked at, and when that was; `None`: anywhere, as far as is known.
    may_run: Option<BTreeSet<u32>>,
    looked: Option<Instant>,
}

/// The clock of one CPU. The link goes before the event that it hangs on.
#[derive(Debug)]
struct Clock {
    _link: OwnedFd,
    event: OwnedFd,
    cpu: u32,
    period_ns: u64,
    ticks: bool,
}

/// How often it is looked where the target may run, while the clock ticks: what it does elsewhere until then has no samples.
const PATIENCE: Duration = Duration::from_secs(1);

impl Samplers {
    /// Makes a clock for every CPU, and starts those where the target, process `pid`, may run. The program itself passes over every thread but the
    /// target's: an event a thread would miss threads that start later.
    pub(super) fn start(ebpf: &mut Ebpf, name: &'static str, rate: Rate, (pid, pace): (u32, Pace)) -> Result<Self, AttachError> {
        let cpus = machine::online_cpus()?;
        let program = ebpf.program_mut(name).ok_or(AttachError::NoProgram { program: name })?;
        let failed = |source| AttachError::Program { program: name, source };
        let program: &mut PerfEvent = program.try_into().map_err(failed)?;
        program.load().map_err(failed)?;
        let program = program.fd().map_err(failed)?;
        let clock = |cpu| {
            let period_ns = rate.period_ns(pace);
            let event = open_clock(cpu, period_ns)?;
            let link = sys::link_perf_event(program.as_fd(), event.as_fd(), 0)?;
            Ok(Clock { _link: link, event, cpu, period_ns, ticks: false })
        };
        let clocks: io::Result<Vec<Clock>> = cpus.into_iter().map(clock).collect();
        let clocks = clocks.map_err(AttachError::SamplingClock)?;
        let mut samplers = Self { clocks, rate, pace: Pace::Rest, pid, may_run: None, looked: None };
        samplers.set(pace)?;
        Ok(samplers)
    }

    /// Changes the pace, and the CPUs if the target's have changed. The new period (ns) if that is a change.
    pub(super) fn set(&mut self, pace: Pace) -> Result<Option<u64>, AttachError> {
        let is_changed = pace != self.pace;
        let is_old = self.looked.is_none_or(|looked| looked.elapsed() >= PATIENCE);
        if pace != Pace::Rest && is_old {
            self.may_run = cpus::of_process(self.pid);
            self.looked = Some(Instant::now());
        } else if !is_changed {
            return Ok(None);
        }
        let period_ns = self.rate.period_ns(pace);
        for clock in &mut self.clocks {
            let may_run = self.may_run.as_ref().is_none_or(|cpus| cpus.contains(&clock.cpu));
            clock.change(period_ns, pace != Pace::Rest && may_run).map_err(AttachError::SamplingClock)?;
        }
        self.pace = pace;
        Ok(is_changed.then_some(period_ns))
    }
}

impl Clock {
    /// Lets it tick with this period, or rest.
    fn change(&mut self, period_ns: u64, ticks: bool) -> io::Result<()> {
        if ticks && period_ns != self.period_ns {
            set_period(&self.event, period_ns)?;
            self.period_ns = period_ns;
        }
        if ticks != self.ticks {
            tell(&self.event, if ticks { PERF_EVENT_IOC_ENABLE } else { PERF_EVENT_IOC_DISABLE })?;
            self.ticks = ticks;
        }
        Ok(())
    }
}

/// Opens the CPU clock of `cpu`, for all processes. Its period is in nanoseconds; a frequency would be adjusted by the kernel, which makes
/// weights drift. It does not tick yet.
fn open_clock(cpu: u32, period_ns: u64) -> io::Result<OwnedFd> {
    // SAFETY: a structure of integers.
    let mut attr: perf_event_attr = unsafe { zeroed() };
    attr.type_ = PERF_TYPE_SOFTWARE;
    attr.size = u32::try_from(size_of::<perf_event_attr>()).unwrap_or(0);
    attr.config = PERF_COUNT_SW_CPU_CLOCK;
    attr.__bindgen_anon_1.sample_period = period_ns;
    attr.set_disabled(1);
    let cpu = i32::try_from(cpu).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    open_event(&mut attr, -1, cpu)
}

/// include/uapi/linux/perf_event.h.
const PERF_TYPE_SOFTWARE: u32 = 1;
/// See [`PERF_TYPE_SOFTWARE`].
const PERF_COUNT_SW_CPU_CLOCK: u64 = 0;
/// `_IOW('$', 4, __u64)`, the same file.
const PERF_EVENT_IOC_PERIOD: libc::c_ulong = 0x4008_2404;

/// `_IO('$', 0)` and `_IO('$', 1)`, the same file.
const PERF_EVENT_IOC_ENABLE: libc::c_ulong = 0x2400;
/// See [`PERF_EVENT_IOC_ENABLE`].
const PERF_EVENT_IOC_DISABLE: libc::c_ulong = 0x2401;

/// Starts or stops a clock.
fn tell(event: &OwnedFd, call: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the descriptor is an event's, and these calls take no argument.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), call, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Changes the period of a clock; the kernel restarts one that runs at once (kernel/events/core.c, `__perf_event_period`).
fn set_period(event: &OwnedFd, period_ns: u64) -> io::Result<()> {
    // SAFETY: the descriptor is an event's, and the argument a word that outlives the call.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_PERIOD, &raw const period_ns) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn open_event(attr: &mut perf_event_attr, pid: i32, cpu: i32) -> io::Result<OwnedFd> {
    // SAFETY: the attribute outlives the call, and so does what it points to: see the callers. No group, close on exec.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, std::ptr::from_mut(attr), pid, cpu, -1, FD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
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
    let pid = i32::try_from(pid).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    open_event(&mut attr, pid, -1)
}
