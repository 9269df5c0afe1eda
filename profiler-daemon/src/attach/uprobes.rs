//! The probes in the target: one uprobe-multi link a program where the kernel has them, else one perf event a site.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use aya_obj::generated::bpf_attach_type;
use profiler_common::site::{Site, SiteRole};
use rustix::fs::{Mode, OFlags};

use super::loading::{Loaded, Wanted};
use super::runs::{ProgramRuns, runs_of};
use super::sys::{self, MultiLink};
use super::{AttachError, Order, perf};

/// One probe to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where: offset in the executable's file (bytes).
    pub offset: u64,
    /// What it stands for.
    pub site: Site,
    /// File offset of the semaphore that is raised while the probe is in; 0 for none.
    pub semaphore: u64,
    /// Whether the function's return is meant, by a return probe.
    pub on_return: bool,
}

impl Probe {
    /// The kernel side's program for it.
    const fn program(&self) -> &'static str {
        match self.site.role {
            SiteRole::PollStart => "poll_start",
            SiteRole::PollIdle => "poll_idle",
            SiteRole::TaskComplete => "task_complete",
            SiteRole::PollReturn if self.on_return => "poll_returned",
            SiteRole::PollReturn => "poll_return",
            SiteRole::Wake | SiteRole::Woken => "task_wake",
            SiteRole::Spawn => "task_spawn",
            SiteRole::LocalScheduled => "local_scheduled",
            SiteRole::Defer => "task_defer",
            SiteRole::WakerStored => "waker_stored",
            SiteRole::ScopeEnter => "scope_enter",
            SiteRole::ScopeExit => "scope_exit",
            SiteRole::ScopeEnd => "scope_end",
            SiteRole::ScopeWake => "scope_wake",
            SiteRole::ScopeSpawn => "scope_spawn",
            SiteRole::ScopeTask => "scope_task",
            SiteRole::ScopeTimes => "scope_times",
        }
    }
}

/// How probes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// One link for all sites of a program (kernel 6.6): attach and detach take milliseconds.
    Multi,
    /// One perf event a site: works everywhere; detaching takes about 0.1 s a site.
    Single,
}

/// The probes in the target and their programs.
#[derive(Debug)]
pub(super) struct Uprobes {
    // Links drop before the programs that they tie to the target.
    links: Vec<Link>,
    /// Each with the name of the product's program that has, or would have, its place.
    programs: Vec<(&'static str, OwnedFd)>,
    pid: u32,
    /// The target's file, held from the attach on. `None`: it could not be opened, and then no link could be made either.
    pub(super) file: Option<OwnedFd>,
}

/// A program at some sites.
#[derive(Debug)]
struct Link {
    // The link drops before its event.
    fd: OwnedFd,
    event: Option<OwnedFd>,
    program: &'static str,
    probes: Vec<Probe>,
}

impl LinkKind {
    /// What programs for such links are loaded for.
    pub(super) const fn attach_type(self) -> u32 {
        match self {
            Self::Multi => bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32,
            Self::Single => 0,
        }
    }
}

impl Uprobes {
    /// The programs that the probes of `order` need.
    pub(super) fn programs(order: &Order<'_>) -> Vec<Wanted> {
        let names: BTreeSet<&'static str> = order.probes.iter().map(Probe::program).collect();
        names.into_iter().map(|name| (name, order.handlers.uprobe(name))).collect()
    }

    /// Attaches the probes. What was attached before a failure goes with it.
    pub(super) fn attach(mut loaded: Loaded, order: &Order<'_>) -> Result<Self, AttachError> {
        let mut groups: BTreeMap<(u8, &'static str), Vec<&Probe>> = BTreeMap::new();
        for probe in order.probes {
            groups.entry((rank(probe.site.role), probe.program())).or_default().push(probe);
        }
        let file = rustix::fs::open(order.exe, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
        let mut uprobes = Self { links: Vec::new(), programs: Vec::new(), pid: order.pid, file };
        for ((_, name), probes) in groups {
            let program = loaded.take(name)?;
            match order.links {
                LinkKind::Multi => uprobes.multi(&program, name, &probes, order)?,
                LinkKind::Single => uprobes.single(&program, name, &probes, order)?,
            }
            uprobes.programs.push((name, program));
        }
        Ok(uprobes)
    }

    fn multi(&mut self, program: &OwnedFd, name: &'static str, probes: &[&Probe], order: &Order<'_>) -> Result<(), AttachError> {
        let probes: Vec<Probe> = probes.iter().map(|probe| **probe).collect();
        let fd = link(program.as_fd(), order.exe, order.pid, &probes)
            .map_err(|source| refused(order.exe, name, &probes, "BPF_LINK_CREATE", source))?;
        self.links.push(Link { fd, event: None, program: name, probes });
        Ok(())
    }

    fn single(&mut self, program: &OwnedFd, name: &'static str, probes: &[&Probe], order: &Order<'_>) -> Result<(), AttachError> {
        for probe in probes {
            let failed = |call| move |source| refused(order.exe, name, std::slice::from_ref(*probe), call, source);
            let event = perf::open_uprobe(order.exe, order.pid, probe).map_err(failed("perf_event_open"))?;
            let fd = sys::link_perf_event(program.as_fd(), event.as_fd(), probe.site.cookie());
            let fd = fd.map_err(failed("BPF_LINK_CREATE"))?;
            self.links.push(Link { fd, event: Some(event), program: name, probes: vec![**probe] });
        }
        Ok(())
    }

    /// Takes the probes out. The programs stay: the kernel still tells of them.
    pub(super) fn take_out(&mut self) {
        self.links.clear();
    }

    /// Takes out the probes at these places of the file, and leaves the others. Returns how many that were.
    pub(super) fn take_out_at(&mut self, offsets: &[u64]) -> Result<usize, AttachError> {
        let is_wrong = |probe: &Probe| offsets.contains(&probe.offset);
        let (touched, mut links): (Vec<Link>, Vec<Link>) =
            std::mem::take(&mut self.links).into_iter().partition(|link| link.probes.iter().any(is_wrong));
        let mut taken = 0;
        for Link { fd, event, program, probes } in touched {
            // Both at a time would see everything twice.
            drop(fd);
            drop(event);
            let (wrong, kept): (Vec<Probe>, Vec<Probe>) = probes.into_iter().partition(is_wrong);
            taken += wrong.len();
            if kept.is_empty() {
                continue;
            }
            let exe = self.held_file().unwrap_or_default();
            let failed = |source| refused(&exe, program, &kept, "BPF_LINK_CREATE", source);
            let of_program = self.programs.iter().find(|(name, _)| *name == program).ok_or(AttachError::NoProgram { program })?;
            let fd = link(of_program.1.as_fd(), &exe, self.pid, &kept).map_err(failed)?;
            links.push(Link { fd, event: None, program, probes: kept });
        }
        self.links = links;
        Ok(taken)
    }

    /// What the kernel says of each program.
    pub(super) fn runs(&self) -> impl Iterator<Item = ProgramRuns> {
        self.programs.iter().map(|(name, program)| runs_of(name, program.as_fd()))
    }

    /// How many links there are.
    pub(super) const fn count(&self) -> usize {
        self.links.len()
    }
}

/// One link for all of the probes.
fn link(program: BorrowedFd<'_>, exe: &Path, pid: u32, probes: &[Probe]) -> std::io::Result<OwnedFd> {
    let path = sys::c_path(exe)?;
    let offsets: Vec<u64> = probes.iter().map(|probe| probe.offset).collect();
    let cookies: Vec<u64> = probes.iter().map(|probe| probe.site.cookie()).collect();
    let mut semaphores: Vec<u64> = probes.iter().map(|probe| probe.semaphore).collect();
    if semaphores.iter().all(|offset| *offset == 0) {
        semaphores.clear();
    }
    sys::link_uprobe_multi(
        program,
        &MultiLink {
            path: &path,
            offsets: &offsets,
            cookies: &cookies,
            semaphores: &semaphores,
            pid: pid.cast_signed(),
            on_return: probes.iter().any(|probe| probe.on_return),
        },
    )
}

/// Why the kernel refused a link. At a site of the annotation, which is a `nop`, an invalid argument is one of two: a place beyond the file, or one where
/// somebody has a probe whose semaphore is another, or none, because the kernel keeps one for each place of a file (kernel/events/uprobes.c,
/// `uprobe_register` and `alloc_uprobe`).
fn refused(exe: &Path, program: &'static str, probes: &[Probe], call: &'static str, source: std::io::Error) -> AttachError {
    let size = std::fs::metadata(exe).map_or(0, |file| file.len());
    let of_annotation = |probe: &Probe| {
        let role = probe.site.role;
        let is_scope = matches!(role, SiteRole::ScopeEnter | SiteRole::ScopeExit | SiteRole::ScopeEnd | SiteRole::ScopeWake)
            || matches!(role, SiteRole::ScopeSpawn | SiteRole::ScopeTask | SiteRole::ScopeTimes);
        is_scope && probe.offset < size
    };
    if source.raw_os_error() == Some(libc::EINVAL) && probes.iter().all(of_annotation) {
        return AttachError::OtherMode { program };
    }
    AttachError::Link { program, sites: probes.len(), call, source }
}

/// Ends are attached before starts, so that a poll seen starting is seen ending.
const fn rank(role: SiteRole) -> u8 {
    match role {
        SiteRole::PollIdle
        | SiteRole::TaskComplete
        | SiteRole::PollReturn
        | SiteRole::ScopeExit
        | SiteRole::ScopeEnd
        | SiteRole::ScopeTimes => 0,
        SiteRole::Wake
        | SiteRole::Woken
        | SiteRole::Defer
        | SiteRole::WakerStored
        | SiteRole::ScopeWake
        | SiteRole::ScopeTask => 1,
        SiteRole::PollStart | SiteRole::Spawn | SiteRole::LocalScheduled | SiteRole::ScopeSpawn => 2,
        SiteRole::ScopeEnter => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::programs::Programs;
    use crate::attach::{UprobeMulti, object, uprobe_multi};

    /// The verifier gives up at a million instructions, loops and both sides of branches counted (`BPF_COMPLEXITY_LIMIT_INSNS`), and newer
    /// kernels need more for the same program: a third is left to them.
    const VERIFIED_MOST: u32 = 650_000;

    /// Check that the kernel takes every program, for perf events and for multi links, and is not near its limit.
    #[test]
    fn the_kernel_takes_every_program() {
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            println!("SKIPPED: the_kernel_takes_every_program: needs root");
            return;
        }
        let object = object::bytes().unwrap();
        let ebpf = aya::EbpfLoader::new().load(&object).unwrap();
        let parsed = Programs::parse(&object, &ebpf).unwrap();
        let mut kinds = vec![0];
        if uprobe_multi() == UprobeMulti::Works {
            kinds.push(bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32);
        }
        for kind in kinds {
            for name in [
                "poll_start",
                "poll_idle",
                "task_complete",
                "poll_return",
                "poll_returned",
                "task_wake",
                "task_defer",
                "task_spawn",
                "waker_stored",
                "scope_enter",
                "scope_exit",
                "scope_end",
                "scope_wake",
                "scope_spawn",
                "scope_task",
                "scope_times",
                "empty",
            ] {
                let program = parsed.load(name, kind).unwrap_or_else(|error| panic!("{error}"));
                let told = runs_of(name, program.as_fd());
                assert_eq!(told.recursion_misses, 0);
                assert!(told.verified < VERIFIED_MOST, "{name}: the verifier went through {} instructions", told.verified);
                println!("{name}: the verifier went through {} instructions", told.verified);
            }
        }
    }
}
